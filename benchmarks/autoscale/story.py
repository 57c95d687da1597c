"""The load over time, and what is said about a run. Pure; seconds are from the start of the load."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from benchmarks.samples import percentile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.samples import Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Load that goes evenly from one rate to another."""

    name: str
    start: float
    end: float
    """Per second."""
    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What the autoscaler saw and did at one time."""

    at_s: float
    readings: dict[str, float | None]
    """Value of each trigger's query."""
    wanted: int
    ready: int
    busy: float
    """Of the machine's processors, by anything, since the moment before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of the table."""

    phase: str
    offered: float
    """Per second."""
    answered: int
    lost: int
    replicas: str
    p50_ms: float
    p99_ms: float
    worst_ms: float
    in_target: float
    """Share of answers within 100 ms."""


def arrivals(phases: Sequence[Phase]) -> list[float]:
    """When each request leaves. Within a phase the n-th leaves when the integral of the rate reaches n."""
    offsets: list[float] = []
    begin_s = 0.0
    for phase in phases:
        slope = (phase.end - phase.start) / phase.duration_s
        count = int((phase.start + phase.end) / 2 * phase.duration_s)
        for number in range(count):
            root = (phase.start**2 + 2 * slope * number) ** 0.5
            # Of rate*t + slope/2*t^2 = number, in the form that needs no slope.
            offsets.append(begin_s + 2 * number / ((phase.start + root) or 1.0))
        begin_s += phase.duration_s
    return offsets


def reversals(counts: Sequence[int]) -> int:
    """How often the replicas changed direction. Up and down again is one; flapping is more."""
    steps = [after - before for before, after in pairwise(counts) if after != before]
    return sum(earlier * later < 0 for earlier, later in pairwise(steps))


def table(
    phases: Sequence[Phase], offsets_s: Sequence[float], samples: Sequence[Sample], moments: Sequence[Moment]
) -> list[Row]:
    """One row per phase, by when the requests left."""
    rows, begin_s = [], 0.0
    for phase in phases:
        end_s = begin_s + phase.duration_s
        some = [one for at, one in zip(offsets_s, samples, strict=True) if begin_s <= at < end_s]
        counts = [moment.wanted for moment in moments if begin_s <= moment.at_s < end_s] or [0]
        rows.append(_row(phase.name, phase.duration_s, some, counts))
        begin_s = end_s
    return rows


def _row(name: str, duration_s: float, samples: Sequence[Sample], counts: Sequence[int]) -> Row:
    good = [one.latency_s for one in samples if one.verdict == "ok"]
    return Row(
        phase=name,
        offered=len(samples) / duration_s,
        answered=len(good),
        lost=len(samples) - len(good),
        replicas=f"{counts[0]} to {counts[-1]}, most {max(counts)}",
        p50_ms=percentile(good, 0.5) * 1000,
        p99_ms=percentile(good, 0.99) * 1000,
        worst_ms=percentile(good, 1.0) * 1000,
        in_target=sum(latency <= 0.1 for latency in good) / max(len(good), 1),
    )


def seconds(offsets_s: Sequence[float], samples: Sequence[Sample]) -> list[dict[str, float]]:
    """Per second of the load: how many left, and the p50 and p99 of their answers."""
    binned: dict[int, list[float]] = {}
    for at, one in zip(offsets_s, samples, strict=True):
        binned.setdefault(int(at), []).append(one.latency_s)
    return [
        {
            "at_s": at,
            "offered": len(latencies),
            "p50_ms": percentile(latencies, 0.5) * 1000,
            "p99_ms": percentile(latencies, 0.99) * 1000,
        }
        for at, latencies in sorted(binned.items())
    ]
