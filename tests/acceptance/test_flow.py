"""The flow of a grader: many small programs, some of them bad, each with a verdict of its own."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from cluster import Cluster

pytestmark = [pytest.mark.jail, pytest.mark.timeout(180)]
NUMBERS = range(1, 201)
AT_ONCE = 16
RIGHT = "return sorted(numbers)[-{n} % len(numbers)] + {n}"
CANDIDATES = {
    "ok": RIGHT,
    "error": "return sorted(numbers)[0]",
    "syntax": "return sorted(numbers",
    "killed": "import os; os.kill(os.getpid(), 11)",
    "memory": "import time; kept = []\n    while True: kept.append(bytearray(1 << 20)); time.sleep(0.002)",
    "timeout": "\n    while True: pass",
}
EXPECTED = {"syntax": "error"}


def kind_of(number: int) -> str:
    """Every 20th program of each bad kind; the rest is right."""
    bad = list(CANDIDATES)[1:]
    return bad[number % 20] if number % 20 < len(bad) else "ok"


def program(number: int) -> dict[str, Any]:
    """A completion and its check, as in HumanEval."""
    candidate = CANDIDATES[kind_of(number)].format(n=number)
    check = f"assert candidate(range({number}, {number + 9})) == (sorted(range({number}, {number + 9}))[-{number} % 9])"
    code = f"def candidate(numbers):\n    {candidate}\n\n{check} + {number}\nprint('passed', {number})\n"
    return {"code": code, "memory_bytes": 64 << 20} | ({"timeout_s": 0.3} if kind_of(number) == "timeout" else {})


async def test_each_of_200_programs_gets_its_own_verdict(cluster: Cluster) -> None:
    answers = await cluster.evals(*map(program, NUMBERS), at_once=AT_ONCE)

    kinds = [kind_of(number) for number in NUMBERS]
    assert [answer.verdict for answer in answers] == [EXPECTED.get(kind, kind) for kind in kinds]
    passed = [f"passed {number}\n" if kind == "ok" else "" for number, kind in zip(NUMBERS, kinds, strict=True)]
    assert [answer.stdout for answer in answers] == passed
    assert len({answer.body["id"] for answer in answers}) == len(NUMBERS)
    assert Counter(kinds) == Counter({"ok": 150} | dict.fromkeys(list(CANDIDATES)[1:], 10))
