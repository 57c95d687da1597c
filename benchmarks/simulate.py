"""`evalctl bench simulate`: what more machines give, by simulation from what was measured on one.

Starts from the latest `results/scaling-*.json` and `results/calibration-*.json`. First it reproduces the measured p50
and p99 of 1, 2 and 4 workers, then it answers: workers and headroom for 1k, 10k, 100k evals per second at p99 < 100 ms,
when one Redis is full, what a burst of 1,000 does, what the loss of a third of the workers does. Seeded; exits 1 if it
is off by more than 20 % where workers do not share processors.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from benchmarks import plots
from benchmarks.des import Costs, Seen, Setup, Simulation, poisson
from benchmarks.here import OFF, Here, latest, reproduced
from benchmarks.samples import percentile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

TARGET_S = 0.1
FULL = 0.65
"""Of the workers' processors: what the autoscaler aims at."""
BROAD = 0.6
"""Of a Redis or API process: both are one thread, and must have room for a burst."""
CORES, SLOTS = 2, 4
"""Of a worker as it is measured here: EVAL_STARTS is twice the cores."""
RATES = (1_000, 10_000, 100_000)
JOBS = 15_000
"""Simulated for a figure of the steady state."""
BURST = 1_000
_EVENT_S, _HORIZON_S = 2.0, 5.0
"""When a burst or loss comes, and how long is simulated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A kind of program: what it adds to an eval's own costs."""

    name: str
    cpu_s: float = 0.0
    nap_s: float = 0.0


PROGRAMS = (
    Program(name="prints"),
    Program(name="computes 20 ms", cpu_s=0.02),
    Program(name="waits 50 ms", nap_s=0.05),
)


def demand(costs: Costs) -> float:
    """Workers' worth of one eval per second: of their cores or of their slots, whichever is more."""
    cpu_s = fmean(costs.slot_s) + costs.behind_s
    return max(cpu_s / CORES, (fmean(costs.slot_s) + costs.nap_s + costs.turn_s) / SLOTS)


def needed(rate: float, costs: Costs, full: float = FULL) -> int:
    """Workers that are so full."""
    return math.ceil(rate * demand(costs) / full)


def shards(rate: float, here: Here) -> int:
    return math.ceil(rate * here.redis_s / BROAD)


def apis(rate: float, here: Here) -> int:
    return math.ceil(rate * here.api_s / BROAD)


def steady(rate: float, costs: Costs, *, workers: int, redis: int, seed: int = 1) -> Seen:
    """Some seconds of load at random, of which the first tenth is not counted."""
    setup = Setup(costs=costs, workers=workers, slots=SLOTS, cores=CORES, shards=redis)
    seen, duration_s = Simulation(setup, seed=seed).run(poisson(rate, JOBS / rate, seed=seed)), JOBS / rate
    kept = [one for at, one in zip(seen.arrived_s, seen.latency_s, strict=True) if at > duration_s / 10]
    return Seen(latency_s=kept)


def fewest(rate: float, costs: Costs, *, redis: int) -> int:
    """Fewest workers with which the p99 is in the target; 0 if half empty ones do not reach it either."""

    def enough(workers: int) -> bool:
        return percentile(steady(rate, costs, workers=workers, redis=redis).latency_s, 0.99) <= TARGET_S

    few, many = needed(rate, costs, 1.0), needed(rate, costs, 0.5)
    if not enough(many):
        return 0
    while few < many:
        middle = (few + many) // 2
        few, many = (few, middle) if enough(middle) else (middle + 1, many)
    return many


def answers(here: Here) -> list[dict[str, Any]]:
    """Per kind of program and rate: what it takes."""
    rows = []
    for program in PROGRAMS:
        costs = here.costs(cpu_s=program.cpu_s, nap_s=program.nap_s)
        for rate in RATES:
            redis, workers = shards(rate, here), needed(rate, costs)
            p99_s = percentile(steady(rate, costs, workers=workers, redis=redis).latency_s, 0.99)
            rows.append(
                {
                    "program": program.name,
                    "rate": rate,
                    "fewest": fewest(rate, costs, redis=redis),
                    "workers": workers,
                    "p99_s": p99_s,
                    "apis": apis(rate, here),
                    "shards": redis,
                }
            )
    return rows


def redis_alone(here: Here) -> list[dict[str, float]]:
    """One Redis, ever fuller: what it adds, with workers enough."""
    quick = Costs(edge_s=[0.0], slot_s=[0.0], redis_s=here.redis_s)
    rows = []
    for full in (0.5, 0.6, 0.8, 0.9, 0.95, 0.99):
        rate = full / here.redis_s
        seen = steady(rate, quick, workers=64, redis=1)
        rows.append({"full": full, "rate": rate, "p99_s": percentile(seen.latency_s, 0.99)})
    return rows


def events(here: Here) -> list[dict[str, Any]]:
    """A burst, and the loss of a third, at different headroom."""
    costs, found = here.costs(), []

    def simulation(rate: float, workers: int) -> Simulation:
        redis = shards(rate, here)
        return Simulation(Setup(costs=costs, workers=workers, slots=SLOTS, cores=CORES, shards=redis))

    def event(what: str, rate: float, workers: int, seen: Seen) -> None:
        found.append({"event": what, "full": rate * demand(costs) / workers, **_course(seen)})

    steady_rate, large_rate = RATES[:2]
    for burst_full, loss_full in ((0.5, 0.5), (FULL, FULL), (0.9, 0.8)):
        few, many = needed(steady_rate, costs, burst_full), needed(large_rate, costs, loss_full)
        burst = simulation(steady_rate, few).run([*poisson(steady_rate, _HORIZON_S), *([_EVENT_S] * BURST)])
        event(f"{BURST:,} at once on {few} workers", steady_rate, few, burst)
        lost = round(many / 3)
        loss = simulation(large_rate, many).run(poisson(large_rate, _HORIZON_S), lose=lost, lose_at_s=_EVENT_S)
        event(f"{lost} of {many} workers die", large_rate, many, loss)
    many = needed(large_rate, costs)
    burst = simulation(large_rate, many).run([*poisson(large_rate, _HORIZON_S), *([_EVENT_S] * BURST)])
    event(f"{BURST:,} at once on {many} workers", large_rate, many, burst)
    return found


def _course(seen: Seen) -> dict[str, Any]:
    """What callers felt; jobs of the dead, which wait for their takeover, are counted and left out of the curve."""
    pairs = sorted(zip(seen.arrived_s, seen.latency_s, strict=True))
    taken_over = [latency for _, latency in pairs if latency > _HORIZON_S]
    bins: dict[int, list[float]] = {}
    for at, latency in pairs:
        if latency <= _HORIZON_S:
            bins.setdefault(int(at * 10), []).append(latency)
    curve = {number / 10: percentile(latencies, 0.99) for number, latencies in sorted(bins.items())}
    over = [at for at, p99 in curve.items() if at >= _EVENT_S and p99 > TARGET_S]
    return {
        "worst_s": max(max(latencies) for latencies in bins.values()),
        "over_s": max(over) + 0.1 - _EVENT_S if over else 0.0,
        "taken_over": len(taken_over),
        "curve": list(curve.items()),
    }


def fullness(here: Here) -> list[dict[str, Any]]:
    """p99 against how full the workers are, for small and large pools."""
    costs = here.costs()
    curves = []
    for rate in (1_000, 3_000, 10_000):
        points = []
        for full in (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0):
            workers = needed(rate, costs, full)
            seen = steady(rate, costs, workers=workers, redis=shards(rate, here))
            points.append((rate * demand(costs) / workers, percentile(seen.latency_s, 0.99)))
        curves.append({"rate": rate, "points": points})
    return curves


def show(console: Console, title: str, rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> None:
    view = Table(title=title, box=SIMPLE)
    for heading in columns:
        view.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        view.add_row(*(form.format(**row) for form in columns.values()))
    console.print(view)


def compare(console: Console, title: str, rows: Iterable[Mapping[str, float]]) -> None:
    """Measured beside simulated."""
    columns = {"workers": "{workers}", "full": "{full:.0%}", "rate": "{rate:.0f}/s"}
    for name, pad in (("p50", ""), ("p99", " ")):
        columns |= {
            name: f"{{{name}:.1f}} ms",
            f"simulated{pad}": f"{{{name}_simulated:.1f}} ms",
            f"off by{pad}": f"{{{name}_off:+.0%}}",
        }
    times = ("p50", "p50_simulated", "p99", "p99_simulated")
    show(console, title, ({**row, **{name: row[name] * 1000 for name in times}} for row in rows), columns)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(prog="bench simulate", description=__doc__)
    parser.add_argument("--out", type=Path, help="draw into this folder")
    options = parser.parse_args(arguments)
    console = Console(width=max(Console().width, 120))
    here = Here.read(latest("scaling"), latest("calibration"))
    waits, computes = reproduced(here, "waits"), reproduced(here, "computes")
    compare(console, f"programs that wait, measured and simulated ({latest('calibration').name})", waits)
    compare(console, "programs that compute, all workers on the same processors", computes)
    data: dict[str, Any] = {
        "calibration": waits,
        "shared": computes,
        "costs": {"redis_s": here.redis_s, "api_s": here.api_s, "worker_s": here.worker_s},
        "answers": answers(here),
        "redis": redis_alone(here),
        "events": events(here),
        "fullness": fullness(here),
    }
    show(
        console,
        f"workers of {CORES} cores for a p99 below {TARGET_S * 1000:.0f} ms",
        ({**row, "p99": row["p99_s"] * 1000} for row in data["answers"]),
        {
            "program": "{program}",
            "evals": "{rate:,}/s",
            "fewest workers": "{fewest:,}",
            f"{FULL:.0%} full": "{workers:,}",
            "p99 then": "{p99:.1f} ms",
            "APIs": "{apis}",
            "Redis": "{shards}",
        },
    )
    show(
        console,
        "one Redis",
        ({**row, "p99": row["p99_s"] * 1000} for row in data["redis"]),
        {"full": "{full:.0%}", "evals": "{rate:,.0f}/s", "adds to the p99": "{p99:.2f} ms"},
    )
    show(
        console,
        "programs that print: bursts and losses",
        data["events"],
        {
            "event": "{event}",
            "full before": "{full:.0%}",
            "worst": "{worst_s:.2f} s",
            "p99 over the target for": "{over_s:.1f} s",
            "taken over, after 5.5 s": "{taken_over}",
        },
    )
    if options.out:
        console.print(f"plot: {plots.draw('capacity', data, options.out)}")
    return int(any(abs(row[name]) > OFF for row in waits for name in ("p50_off", "p99_off")))


if __name__ == "__main__":
    sys.exit(main())
