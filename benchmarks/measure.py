"""What a bench measures and in which order. Collects series by name; draws no conclusion.

Baseline and measurement take turns, round after round, so that a machine that changes its mind
changes it for both.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import uvloop

from benchmarks import baselines, memory
from benchmarks.cluster import cluster, environment_root
from benchmarks.load import Program, closed_loop, evenly, open_loop
from benchmarks.samples import Run, Summary, pooled, summarise

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.load import Endpoint

TRIVIAL = Program(code=baselines.TRIVIAL, stdout=baselines.EXPECTED)
SCIENCE = Program(code=baselines.SCIENCE, stdout=baselines.EXPECTED)
# Ok only where nothing runs it: a worker that ignored EVAL_SANDBOX=noop could not pass for the queue alone.
UNRUN = Program(code="raise SystemExit('this ran')", stdout=None)

PARALLEL = (1, 2, 4)
CONCURRENT = (4, 16, 64)
JUDGED_CONCURRENCY = 16
SETTLE_S = 1.0
"""Time for refill and teardown behind the last reply, so that no series pays for the one before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much of everything; counts and seconds are per round, `open_s` in all."""

    rounds: int
    spawns: int
    singles: int
    sciences: int
    colds: int
    judged_s: float
    other_s: float
    open_s: float


FULL = Plan(rounds=3, spawns=60, singles=300, sciences=30, colds=3, judged_s=10, other_s=4, open_s=30)
QUICK = Plan(rounds=1, spawns=30, singles=200, sciences=15, colds=2, judged_s=3, other_s=2, open_s=5)


@dataclass
class Measurement:
    """Everything one bench found."""

    plan: Plan
    series: dict[str, list[Run]] = field(default_factory=lambda: defaultdict(list))
    zygotes: Sequence[memory.ZygoteMemory] = ()
    census: dict[str, memory.Census] = field(default_factory=dict)

    def summary(self, name: str) -> Summary:
        return summarise(pooled(self.series[name]))

    def best_rate(self, kind: str, levels: Sequence[int]) -> float:
        """Highest rate of `kind` at any of the levels, each pooled over the rounds. Per second."""
        return max(self.summary(f"{kind} {level}").rate for level in levels)

    def details(self) -> dict[str, object]:
        """What is stored beside figures and series."""
        return {
            "plan": asdict(self.plan),
            "zygotes": [asdict(z) for z in self.zygotes],
            "census": {when: asdict(found) for when, found in self.census.items()},
        }


def measure(plan: Plan, *, say: Callable[[str], None]) -> Measurement:
    """Run the whole plan on clusters of its own; `say` hears of progress. Raises ClusterFailed, OSError."""
    found = Measurement(plan)
    with cluster() as running:
        _warm_up(running.endpoint)
        found.zygotes = memory.zygotes(running.worker)
        found.census["before"] = memory.census(running)
        for number in range(1, plan.rounds + 1):
            say(f"round {number} of {plan.rounds}: baselines and closed loops in turn")
            _round(found, running.endpoint)
        say(f"open loop, {plan.open_s:g} s")
        _open(found, running.endpoint)
        time.sleep(SETTLE_S)
        found.census["after"] = memory.census(running)
    say("queue without sandbox")
    with cluster(EVAL_SANDBOX="noop") as running:
        _queue_alone(found, running.endpoint)
    return found


def _warm_up(endpoint: Endpoint) -> None:
    """Bring every process to its working size: what grows after this is a leak."""
    for program in (TRIVIAL, SCIENCE):
        _closed(endpoint, program, concurrency=max(CONCURRENT), requests=4 * max(CONCURRENT))


def _round(found: Measurement, endpoint: Endpoint) -> None:
    plan, python = found.plan, baselines.baseline_interpreter()
    jailed = baselines.jailed_command(python, baselines.TRIVIAL)
    _spawn(found, "bare 1", baselines.bare_command(python, baselines.TRIVIAL), count=plan.spawns)
    _spawn(found, "nsjail 1", jailed, count=plan.spawns)
    found.series["eval 1"].append(_closed(endpoint, TRIVIAL, concurrency=1, requests=plan.singles))
    for parallel in PARALLEL[1:]:
        _spawn(found, f"nsjail {parallel}", jailed, count=plan.spawns * parallel, parallel=parallel)
    for concurrency in CONCURRENT:
        seconds = plan.judged_s if concurrency == JUDGED_CONCURRENCY else plan.other_s
        run = _closed(endpoint, TRIVIAL, concurrency=concurrency, duration_s=seconds)
        found.series[f"eval {concurrency}"].append(run)
    cold = baselines.bare_command(environment_root() / "bin" / "python3", baselines.SCIENCE)
    _spawn(found, "science cold", cold, count=plan.colds)
    found.series["science eval"].append(_closed(endpoint, SCIENCE, concurrency=1, requests=plan.sciences))


def _open(found: Measurement, endpoint: Endpoint) -> None:
    """Half of the best closed-loop rate, arriving evenly."""
    rate = found.best_rate("eval", CONCURRENT) / 2
    offsets_s = evenly(rate=rate, duration_s=found.plan.open_s)
    found.series["open loop"].append(uvloop.run(open_loop(endpoint, TRIVIAL, offsets_s=offsets_s)))


def _queue_alone(found: Measurement, endpoint: Endpoint) -> None:
    _closed(endpoint, UNRUN, concurrency=4, requests=40)
    single = _closed(endpoint, UNRUN, concurrency=1, requests=found.plan.singles)
    many = _closed(endpoint, UNRUN, concurrency=JUDGED_CONCURRENCY, duration_s=found.plan.other_s)
    found.series["queue 1"].append(single)
    found.series[f"queue {JUDGED_CONCURRENCY}"].append(many)


def _spawn(found: Measurement, name: str, command: Sequence[str], *, count: int, parallel: int = 1) -> None:
    found.series[name].append(baselines.spawn(command, count=count, parallel=parallel))


def _closed(
    endpoint: Endpoint,
    program: Program,
    *,
    concurrency: int,
    requests: int = 1_000_000,
    duration_s: float = 3600.0,
) -> Run:
    time.sleep(SETTLE_S)
    loop = closed_loop(endpoint, program, concurrency=concurrency, requests=requests, duration_s=duration_s)
    return uvloop.run(loop)
