"""What a judge request costs beside as many evals of the same program: small, and large enough that compiling shows."""

from __future__ import annotations

import http.client
import json
import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import uvloop

from benchmarks import targets
from benchmarks.cluster import cluster
from benchmarks.load import Program, closed_loop
from benchmarks.samples import summarise
from benchmarks.targets import Figure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.load import Endpoint

CASES, AT_ONCE = 50, 16
PRINTED = "42\n"
_FUNCTION = """def f{n}(a, b=3, *rest):
    total = 0
    for x in range(a):
        if x % {n} == 0:
            total += x * b
        else:
            total -= len(str(x)) + {n}
    return [total, {{'k{n}': total}}, 'text {n}']

"""


def program(functions: int) -> Program:
    """A program with so many functions that it does not call; 1,000 are about 230 KiB."""
    return Program(code="".join(_FUNCTION.format(n=n + 1) for n in range(functions)) + "print(42)", stdout=PRINTED)


PROGRAMS = {targets.JUDGE_SMALL: program(0), targets.JUDGE_LARGE: program(1_000)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How often."""

    rounds: int


FULL, QUICK = Plan(rounds=15), Plan(rounds=5)


@dataclass
class Judged:
    """Seconds for all cases of a program, by figure: as evals and as one judge request."""

    evals_s: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in PROGRAMS})
    judge_s: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in PROGRAMS})


def figures_of(found: Judged) -> Iterator[Figure]:
    """Every line of the report."""
    for name in PROGRAMS:
        judge_s, evals_s = statistics.median(found.judge_s[name]), statistics.median(found.evals_s[name])
        yield Figure(name=name, value=judge_s * 1000, unit="ms", baseline=evals_s * 1000)


def measure(plan: Plan, *, say: Callable[[str], None]) -> Judged:
    """Run the plan on a cluster of its own, the two in turn. Raises ClusterFailed, OSError."""
    found = Judged()
    with cluster() as running:
        for number in range(plan.rounds + 1):
            say(f"judge: round {number} of {plan.rounds}")
            for name, one in PROGRAMS.items():
                evals_s, judge_s = _evals(running.endpoint, one), _judge(running.endpoint, one)
                if number:  # the first only warms up
                    found.evals_s[name].append(evals_s)
                    found.judge_s[name].append(judge_s)
    return found


def _evals(endpoint: Endpoint, one: Program) -> float:
    time.sleep(0.3)
    start = time.perf_counter()
    run = uvloop.run(closed_loop(endpoint, one, concurrency=AT_ONCE, requests=CASES, duration_s=600))
    took_s = time.perf_counter() - start
    if summarise(run).errors:
        raise OSError("an eval failed")
    return took_s


def _judge(endpoint: Endpoint, one: Program) -> float:
    time.sleep(0.3)
    body = json.dumps({"code": one.code, "cases": [{"expected_stdout": PRINTED}] * CASES})
    headers = {"Authorization": f"Bearer {endpoint.token}", "Content-Type": "application/json"}
    start = time.perf_counter()
    connection = http.client.HTTPConnection(endpoint.host, endpoint.port, timeout=600)
    connection.request("POST", "/v1/judge", body, headers)
    data = connection.getresponse().read()
    took_s = time.perf_counter() - start
    connection.close()
    if json.loads(data).get("passed") != CASES:
        raise OSError(f"a case failed: {data[:200]!r}")
    return took_s
