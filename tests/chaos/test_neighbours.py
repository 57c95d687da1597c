"""A well-behaved program beside hostile ones of every kind: none of its runs fails. How fast: `make bench` tells."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from cluster import Cluster, post

from benchmarks.hostile import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNS, PAUSE_S = 30, 0.1
pytestmark = [pytest.mark.jail, pytest.mark.timeout(400)]


ENDS = {"timeout", "memory", "output"}
"""Of hostile programs; until each was seen they have not all run."""


@pytest.fixture
def crowded() -> Iterator[Cluster]:
    with Cluster(None, EVAL_SLOTS=2 * len(HOSTILE)) as cluster:
        yield cluster


async def test_no_run_fails_beside_hostile_programs_of_every_kind(crowded: Cluster) -> None:
    await crowded.ready()
    ended: set[str] = set()
    async with crowded.client() as http:

        async def hostile(code: str) -> None:
            while True:
                ended.add((await post(http, {"code": code, "timeout_s": 6})).verdict)

        neighbours = [asyncio.create_task(hostile(code)) for code in HOSTILE.values()]
        answers = []
        while len(answers) < RUNS or not ended >= ENDS:
            answers.append(await post(http, f"print({len(answers)})"))
            await asyncio.sleep(PAUSE_S)
        for neighbour in neighbours:
            neighbour.cancel()
        await asyncio.gather(*neighbours, return_exceptions=True)

    assert [(answer.verdict, answer.stdout) for answer in answers] == [("ok", f"{n}\n") for n in range(len(answers))]
    assert {answer.body["attempt"] for answer in answers} == {1}
    assert ended <= {*ENDS, "ok", "error", "killed"}
