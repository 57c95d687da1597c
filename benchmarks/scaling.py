"""`evalctl bench scaling`: the scaling curve of this machine, and where its ceiling is.

Workers 1, 2, 4 and APIs 1, 2, 4, closed loop, with the processor time of each role; and the queue alone. Wants a quiet
machine for a minute. Writes `results/scaling-*.json`.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import uvloop
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from benchmarks import memory, report
from benchmarks.cluster import ClusterFailed, environment_root, fleet
from benchmarks.load import Program, closed_loop
from benchmarks.samples import Run, pooled, summarise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.cluster import Fleet

COUNTS = (1, 2, 4)
CONCURRENCY = 16
SECONDS, SETTLE_S = 4.0, 0.5
TRIVIAL = Program(code="print(1+1)", stdout="2\n")
UNRUN = Program(code="raise SystemExit('this ran')", stdout=None)
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One setup under a closed loop."""

    workers: int
    apis: int
    rate: float
    p50_ms: float
    p99_ms: float
    errors: int
    cpu_ms: dict[str, float]
    """Processor time per eval, by role. `cells` is jails, zygotes and cells."""
    busy: float
    """Of the machine's processors, by us."""
    others: float
    """Of the machine's processors, by anything else: not quiet, if it is more than some percent."""


class Meter:
    """Processor time of the whole machine and of the roles, between two looks."""

    def __init__(self, running: Fleet) -> None:
        self._fleet = running
        self._before = self._now()
        self._began = time.monotonic()

    def _now(self) -> dict[str, float]:
        roles = {
            name: sum(_own_s(child.process.pid) for child in self._fleet.alive(name))
            for name in ("api", "worker", "valkey")
        }
        table, workers = memory.processes(), self._fleet.alive("worker")
        jailed = {one.pid for worker in workers for one in memory.descendants(table, worker.process.pid)}
        cells = sum(_own_s(pid, children=True) for pid in jailed)
        return roles | {"load": time.process_time(), "cells": cells, "machine": _machine_s()}

    def per_eval_ms(self, evals: int) -> tuple[dict[str, float], float, float]:
        """Milliseconds by role; how busy the processors were by us, and by others."""
        spent = {name: value - self._before[name] for name, value in self._now().items()}
        all_s = (time.monotonic() - self._began) * len(os.sched_getaffinity(0))
        machine_s, ours_s = spent.pop("machine"), sum(spent.values())
        per_eval = {name: round(value / max(evals, 1) * 1000, 3) for name, value in spent.items()}
        return per_eval, ours_s / all_s, max(0.0, machine_s - ours_s) / all_s


class Busy:
    """How much of the machine's processors is used, between two looks."""

    def __init__(self) -> None:
        self._seen = time.monotonic(), _machine_s()

    def since(self) -> float:
        """By anything, from 0 to 1, since the look before."""
        (then, used_s), self._seen = self._seen, (time.monotonic(), _machine_s())
        return (self._seen[1] - used_s) / ((self._seen[0] - then) * len(os.sched_getaffinity(0)))


def _own_s(pid: int, *, children: bool = False) -> float:
    """User and system time of one process, and of the children that it has buried; 0 if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11 : 15 if children else 13])) * _TICK_S


def _machine_s() -> float:
    """Time that the processors were not idle."""
    user, nice, system, _, _, irq, softirq, *_ = map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:])
    return (user + nice + system + irq + softirq) * _TICK_S


def curve(say: Callable[[str], None], *, sandbox: str) -> Iterator[Point]:
    """Workers added one after the other, then APIs. `sandbox`: nsjail, or noop for the queue alone."""
    program = TRIVIAL if sandbox == "nsjail" else UNRUN
    with fleet(EVAL_ENVIRONMENT_ROOT=str(environment_root()), EVAL_SANDBOX=sandbox) as running:
        running.start_redis()
        running.start_api()
        for workers, apis in [*((count, 1) for count in COUNTS), *((COUNTS[-1], count) for count in COUNTS[1:])]:
            say(f"{sandbox}: {workers} workers, {apis} APIs")
            for _ in range(workers - len(running.alive("worker"))):
                running.start_worker()
            for _ in range(apis - len(running.alive("api"))):
                running.start_api()
            running.wait_until_ready()
            yield _point(running, program)


def _point(running: Fleet, program: Program) -> Point:
    uvloop.run(_closed(running, program, 1.0))
    time.sleep(SETTLE_S)
    meter = Meter(running)
    run = uvloop.run(_closed(running, program, SECONDS))
    cpu_ms, busy, others = meter.per_eval_ms(len(run.samples))
    summary = summarise(run)
    return Point(
        workers=len(running.alive("worker")),
        apis=len(running.alive("api")),
        rate=summary.rate,
        p50_ms=summary.p50_s * 1000,
        p99_ms=summary.p99_s * 1000,
        errors=summary.errors,
        cpu_ms=cpu_ms,
        busy=busy,
        others=others,
    )


async def _closed(running: Fleet, program: Program, duration_s: float) -> Run:
    """The callers spread evenly over the apis."""
    share = CONCURRENCY // len(running.endpoints)
    loops = [
        closed_loop(endpoint, program, concurrency=share, duration_s=duration_s)
        for endpoint in running.endpoints
    ]
    runs = await asyncio.gather(*loops)
    return Run(samples=pooled(runs).samples, elapsed_s=max(run.elapsed_s for run in runs))


def shown(title: str, points: Sequence[Point]) -> Table:
    roles = list(points[0].cpu_ms)
    view = Table(title=title, box=SIMPLE)
    for heading in ("workers", "APIs", "rate", "p50", "p99", "ours", "others", *(f"{role} ms" for role in roles)):
        view.add_column(heading, justify="right", no_wrap=True)
    for one in points:
        figures = (f"{one.rate:,.0f}/s", f"{one.p50_ms:.1f} ms", f"{one.p99_ms:.1f} ms")
        shares = (f"{one.busy * 100:.0f} %", f"{one.others * 100:.0f} %")
        view.add_row(str(one.workers), str(one.apis), *figures, *shares, *(f"{one.cpu_ms[role]:.2f}" for role in roles))
    return view


def main() -> int:
    """Entry point; returns the exit code."""
    console = Console(width=max(Console().width, 120))
    try:
        with console.status("starting") as status:
            evals = list(curve(status.update, sandbox="nsjail"))
            queue = list(curve(status.update, sandbox="noop"))
    except (ClusterFailed, OSError) as error:
        Console(stderr=True).print(f"scaling: {error}", style="red", markup=False)
        return 2
    console.print(shown("evals", evals))
    console.print(shown("the queue alone", queue))
    found = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": report.machine(),
        "evals": [asdict(one) for one in evals],
        "queue": [asdict(one) for one in queue],
    }
    path = report.RESULTS / f"scaling-{datetime.now(UTC):%Y-%m-%dT%H%M%S}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
    console.print(f"stored in {path}")
    return int(any(one.errors for one in [*evals, *queue]))


if __name__ == "__main__":
    sys.exit(main())
