"""Evalpool and other services on this machine, side by side: what a program costs its caller.

The others are started by whoever measures; docs/rivals.md tells how that was done. All take turns, round after round,
and each turn begins on an idle machine, so that nobody pays for what another does behind its answers.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from benchmarks.baselines import EXPECTED, TRIVIAL
from benchmarks.cluster import cluster
from benchmarks.dialects import DIALECTS, Rival
from benchmarks.load import Program, closed_loop
from benchmarks.samples import Run, pooled, summarise
from benchmarks.targets import Figure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.load import Endpoint

OURS = "evalpool"
MANY = 16
PRINT = Program(code=TRIVIAL, stdout=EXPECTED)
NUMPY = Program(code="import numpy\nprint(numpy.arange(3).sum())", stdout="3\n")
IDLE, LOOK_S, SETTLE_S = 0.9, 0.3, 3.0
"""Share of the processors that is free on an idle machine; how long to look; how long to wait for it at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Per round: seconds of one caller and of many, and imports of numpy."""

    rounds: int
    one_s: float
    many_s: float
    imports: int


FULL = Plan(rounds=2, one_s=2.0, many_s=3.0, imports=4)
QUICK = Plan(rounds=1, one_s=1.5, many_s=3.0, imports=2)


@dataclass
class Found:
    """Runs by name: the service, and `1`, `16` or `numpy`."""

    labels: Sequence[str]
    series: dict[str, list[Run]] = field(default_factory=lambda: defaultdict(list))


def ours(endpoint: Endpoint) -> Rival:
    """Evalpool, spoken to as the others are."""
    return Rival(host=endpoint.host, port=endpoint.port, token=endpoint.token, label=OURS, dialect=DIALECTS[OURS])


def measure(plan: Plan, others: Sequence[Rival], *, say: Callable[[str], None]) -> Found:
    """Run the plan on Evalpool, on a cluster of its own, and on the others. Raises ClusterFailed, OSError."""
    with cluster() as running:
        services = [ours(running.endpoint), *others]
        found = Found([one.label for one in services])
        for number in range(plan.rounds):
            # There and back, so that nobody is always next to the same neighbour.
            for service in services if number % 2 == 0 else reversed(services):
                say(f"rivals: round {number + 1} of {plan.rounds}, {service.label}")
                _turn(found, service, plan)
    return found


def _turn(found: Found, service: Rival, plan: Plan) -> None:
    loops = {
        "1": (PRINT, 1, 1_000_000, plan.one_s),
        str(MANY): (PRINT, MANY, 1_000_000, plan.many_s),
        "numpy": (NUMPY, 1, plan.imports, 2 * plan.one_s),
    }
    for name, (program, callers, requests, seconds) in loops.items():
        _settle()
        uvloop.run(closed_loop(service, program, concurrency=1, requests=1))  # connected, imported, warm
        loop = closed_loop(service, program, concurrency=callers, requests=requests, duration_s=seconds)
        found.series[f"{service.label} {name}"].append(uvloop.run(loop))


def _settle() -> None:
    give_up = time.monotonic() + SETTLE_S
    while time.monotonic() < give_up:
        before = _processor_time()
        time.sleep(LOOK_S)
        idle, total = (now - then for now, then in zip(_processor_time(), before, strict=True))
        if idle > IDLE * total:
            return


def _processor_time() -> tuple[int, int]:
    """Idle and all ticks of this machine."""
    ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    return ticks[3], sum(ticks)


def figures_of(found: Found) -> Iterator[Figure]:
    """Each service's figures, beside Evalpool's."""
    for label in found.labels:
        for (name, unit, value), (_, _, own) in zip(_told(found, label), _told(found, OURS), strict=True):
            yield Figure(name=f"{label}: {name}", value=value, unit=unit, baseline=None if label == OURS else own)
        failures = sum(summarise(pooled(found.series[f"{label} {name}"])).errors for name in ("1", str(MANY), "numpy"))
        yield Figure(name=f"{label}: failures", value=failures, unit="")


def _told(found: Found, label: str) -> Iterator[tuple[str, str, float]]:
    one, many, numpy = (summarise(pooled(found.series[f"{label} {name}"])) for name in ("1", str(MANY), "numpy"))
    yield "1 at a time, p50", "ms", one.p50_s * 1000
    yield "1 at a time, p99", "ms", one.p99_s * 1000
    yield f"{MANY} at a time", "/s", many.rate
    yield f"{MANY} at a time, p99", "ms", many.p99_s * 1000
    yield "import numpy, p50", "ms", numpy.p50_s * 1000
