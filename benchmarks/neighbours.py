"""What a well-behaved program notices of its neighbours: its latency while 8 hostile programs run, kind by kind.

The well-behaved one arrives evenly at a modest rate, in an open loop; as soon as a hostile one ends it comes again.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING

import uvloop

from benchmarks import targets
from benchmarks.cluster import cluster
from benchmarks.hostile import HOSTILE
from benchmarks.load import Caller, Program, evenly, open_loop
from benchmarks.measure import TRIVIAL
from benchmarks.samples import Run, Summary, summarise
from benchmarks.targets import Figure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence

    from benchmarks.load import Endpoint

NEIGHBOURS = 8
RATE = 20
"""Of the well-behaved program, per second."""
LEAD_S = 1.0
"""So long the hostile ones are alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Seconds per kind."""

    kind_s: float


FULL = Plan(kind_s=10)
QUICK = Plan(kind_s=3)


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What the well-behaved program met, by kind of neighbour; "nobody" first."""

    runs: dict[str, Run] = field(default_factory=dict)

    def series(self) -> dict[str, Sequence[Run]]:
        return {f"beside {kind}": [run] for kind, run in self.runs.items()}


def measure(plan: Plan, kinds: Collection[str] = HOSTILE, *, say: Callable[[str], None]) -> Neighbours:
    """Nobody and then each kind in turn, on one cluster. Raises ClusterFailed, OSError."""
    found = Neighbours()
    with cluster() as running:
        for kind in ("nobody", *kinds):
            say(f"beside {kind}")
            found.runs[kind] = uvloop.run(_beside(running.endpoint, HOSTILE.get(kind), plan.kind_s))
    return found


def figures_of(found: Neighbours) -> Iterator[Figure]:
    """p99 per kind, and whether anything failed."""
    alone = summarise(found.runs["nobody"])
    yield Figure(name="p99 beside nobody", value=alone.p99_s * 1000, unit="ms")
    others = {kind: summarise(run) for kind, run in found.runs.items() if kind != "nobody"}
    for kind, summary in others.items():
        yield Figure(name=targets.beside(kind), value=summary.p99_s * 1000, unit="ms")
    yield Figure(name=targets.BESIDE_FAILURES, value=sum(_failures(others)), unit="")


def _failures(summaries: dict[str, Summary]) -> Iterator[int]:
    for summary in summaries.values():
        yield summary.errors


async def _beside(endpoint: Endpoint, code: str | None, seconds: float) -> Run:
    async with _hostile(endpoint, code):
        await asyncio.sleep(LEAD_S)
        return await open_loop(endpoint, TRIVIAL, offsets_s=evenly(rate=RATE, duration_s=seconds))


@contextlib.asynccontextmanager
async def _hostile(endpoint: Endpoint, code: str | None) -> AsyncIterator[None]:
    """Keep `NEIGHBOURS` of it running; they are hung up on, which kills them."""
    program = Program(code=code or "", stdout=None)
    callers = [Caller(endpoint) for _ in range(NEIGHBOURS if code else 0)]
    tasks = [asyncio.create_task(_again_and_again(caller, program)) for caller in callers]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _again_and_again(caller: Caller, program: Program) -> None:
    try:
        while True:
            await caller.call(program, perf_counter())
    finally:
        caller.close()
