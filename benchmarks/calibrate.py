"""`evalctl bench calibrate`: open loops on 1, 2 and 4 workers, which the simulation has to reproduce.

The simulation's workers have processors of their own; here they have two. So they are measured where these are not
short: programs that wait, few slots. Programs that compute are measured too, at loads that the processors feel.
Wants a quiet machine for 3 minutes. Writes `results/calibration-*.json`; exits 1 if an answer was lost.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from statistics import fmean
from typing import TYPE_CHECKING, Any

import uvloop
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from benchmarks import here, report
from benchmarks.cluster import ClusterFailed, fleet
from benchmarks.load import Program, evenly, open_loop
from benchmarks.samples import percentile, quantiles
from benchmarks.scaling import SETTLE_S, Meter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from benchmarks.cluster import Fleet
    from benchmarks.samples import Run

WORKERS = (1, 2, 4)
SLOTS = 2
SLOTS_FULL = (0.3, 0.6, 0.8)
"""Utilisations of the slots by programs that wait."""
CPUS_FULL = (0.3, 0.6)
"""Of the machine's processors by programs that compute."""
CALM_RATE, CALM_S = 14.0, 14.0
"""Evenly: no two at a time."""
WAITING = 200
"""At once, to see how long a slot is empty between two."""
CONNECTIONS = 200
QUANTILES = 200
COMPUTING = Program(
    code=f"import time\nend = time.process_time() + {here.COMPUTE_S}\nwhile time.process_time() < end: pass\nprint(1)",
    stdout="1\n",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One open loop."""

    workers: int
    full: float
    """Of the slots, or of the processors; what was aimed at."""
    rate: float
    p50_s: float
    p99_s: float
    evals: int
    lost: int
    ours: float
    others: float
    """Of the machine's processors: used by us, and by anything else."""
    cpu_s: float
    """Processor time per eval, of everything of ours."""
    edge_s: list[float]
    """Quantiles of what the answers' own times leave: outside of queue and slot."""
    slot_s: list[float]
    """Quantiles of the time in the slot, less the program's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calm:
    """One worker: evals one at a time, then more than it has slots for."""

    calm_s: list[tuple[float, float]]
    """Request to answer less lease to result; lease to result less the program's nap."""
    pickup_s: float
    """Submit to lease, though a slot is free."""
    turn_s: float
    """A slot's time between two programs."""

    @property
    def slot_s(self) -> float:
        """How long an eval holds a slot beside its nap, in the mean."""
        return fmean(over for _, over in self.calm_s) + self.turn_s


def napping(naps_s: Iterable[float]) -> list[Program]:
    """Programs that wait."""
    return [Program(code=f"import time\ntime.sleep({nap_s})\nprint(1)", stdout="1\n") for nap_s in naps_s]


def calmly(running: Fleet) -> Calm:
    """Nothing else runs. Raises OSError."""
    naps_s = here.schedule(CALM_RATE).naps_s
    offsets_s = evenly(rate=CALM_RATE, duration_s=CALM_S)
    alone = _open(running, napping(naps_s[: len(offsets_s)]), offsets_s)
    calm_s = [
        (round(one.latency_s - one.run_s, 5), round(one.run_s - nap_s, 5))
        for one, nap_s in zip(alone.samples, naps_s, strict=False)
    ]
    full = _open(running, napping(naps_s[:WAITING]), [0.0] * WAITING)
    held_s = fmean(one.run_s for one in full.samples)
    return Calm(
        calm_s=calm_s,
        pickup_s=round(fmean(one.queue_s for one in alone.samples), 5),
        turn_s=round(SLOTS * full.elapsed_s / WAITING - held_s, 5),
    )


def waiting(running: Fleet, calm: Calm, full: float) -> Point:
    """Programs that wait, at this utilisation of the slots."""
    slots = SLOTS * len(running.alive("worker"))
    rate = round(full * slots / (fmean(here.NAP_S) + calm.slot_s), 1)
    load = here.schedule(rate)
    return _point(running, napping(load.naps_s), load, rate=rate, full=full)


def computing(running: Fleet, cpu_s: float, full: float) -> Point:
    """Programs that compute, at this utilisation of the processors by evals that cost so much beside."""
    rate = round(full * _cores() / (cpu_s + here.COMPUTE_S), 1)
    offsets_s = here.schedule(rate).offsets_s
    load = here.Schedule(offsets_s=offsets_s, naps_s=[here.COMPUTE_S] * len(offsets_s))
    return _point(running, [COMPUTING] * len(offsets_s), load, rate=rate, full=full)


def _point(running: Fleet, programs: Sequence[Program], load: here.Schedule, *, rate: float, full: float) -> Point:
    time.sleep(SETTLE_S)
    meter = Meter(running)
    run = _open(running, programs, load.offsets_s)
    cpu_ms, ours, others = meter.per_eval_ms(len(run.samples))
    good = [(one, took_s) for one, took_s in zip(run.samples, load.naps_s, strict=True) if one.verdict == "ok"]
    latencies = [one.latency_s for one, _ in good]
    return Point(
        workers=len(running.alive("worker")),
        full=full,
        rate=rate,
        p50_s=percentile(latencies, 0.5),
        p99_s=percentile(latencies, 0.99),
        evals=len(run.samples),
        lost=len(run.samples) - len(latencies),
        ours=round(ours, 3),
        others=round(others, 3),
        cpu_s=round(sum(cpu_ms.values()) / 1000, 5),
        edge_s=_stored(one.latency_s - one.queue_s - one.run_s for one, _ in good),
        slot_s=_stored(one.run_s - took_s for one, took_s in good),
    )


def _stored(values_s: Iterable[float]) -> list[float]:
    return [round(one, 5) for one in quantiles(values_s, QUANTILES)]


def _open(running: Fleet, programs: Sequence[Program], offsets_s: Sequence[float]) -> Run:
    return uvloop.run(open_loop(running.endpoints[0], programs, offsets_s=offsets_s, connections=CONNECTIONS))


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def measure(say: Callable[[str], None]) -> dict[str, Any]:
    """All of it, as it is stored. Raises ClusterFailed, OSError."""
    waits, computes = [], []
    with fleet(EVAL_SLOTS=str(SLOTS), EVAL_STARTS=str(SLOTS)) as running:
        running.start_redis()
        running.start_api()
        for workers in WORKERS:
            for _ in range(workers - len(running.alive("worker"))):
                running.start_worker()
            running.wait_until_ready()
            _open(running, napping([0.05] * 40), evenly(rate=40, duration_s=1))
            if workers == 1:
                say("calmly")
                calm = calmly(running)
            for full in SLOTS_FULL:
                say(f"programs that wait, {workers} workers, {full:.0%} of their slots")
                waits.append(waiting(running, calm, full))
            cpu_s = min(one.cpu_s for one in waits)
            for full in CPUS_FULL:
                say(f"programs that compute, {workers} workers, {full:.0%} of the processors")
                computes.append(computing(running, cpu_s, full))
    return {
        "cores": _cores(),
        "slots": SLOTS,
        **asdict(calm),
        "cpu_per_eval_s": cpu_s,
        "waits": [asdict(one) for one in waits],
        "computes": [asdict(one) for one in computes],
    }


def shown(title: str, points: Sequence[dict[str, Any]]) -> Table:
    view = Table(title=title, box=SIMPLE)
    for heading in ("workers", "full", "rate", "p50", "p99", "lost", "ours", "others"):
        view.add_column(heading, justify="right", no_wrap=True)
    for one in points:
        times = (f"{one['p50_s'] * 1000:.1f} ms", f"{one['p99_s'] * 1000:.1f} ms", str(one["lost"]))
        shares = (f"{one['ours'] * 100:.0f} %", f"{one['others'] * 100:.0f} %")
        view.add_row(str(one["workers"]), f"{one['full'] * 100:.0f} %", f"{one['rate']:.0f}/s", *times, *shares)
    return view


def main() -> int:
    """Entry point; returns the exit code."""
    console = Console(width=max(Console().width, 120))
    try:
        with console.status("starting") as status:
            found = measure(status.update)
    except (ClusterFailed, OSError) as error:
        Console(stderr=True).print(f"calibrate: {error}", style="red", markup=False)
        return 2
    console.print(shown("programs that wait", found["waits"]))
    console.print(shown("programs that compute", found["computes"]))
    now = datetime.now(UTC)
    path = report.RESULTS / f"calibration-{now:%Y-%m-%dT%H%M%S}.json"
    stored = {"date": now.isoformat(timespec="seconds"), "machine": report.machine(), **found}
    # A key a line: thousands of quantiles would be as many lines.
    lines = (f"{json.dumps(key)}: {json.dumps(value)}" for key, value in stored.items())
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    console.print(f"stored in {path}")
    return int(any(one["lost"] for one in [*found["waits"], *found["computes"]]))


if __name__ == "__main__":
    sys.exit(main())
