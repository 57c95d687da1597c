"""Samples and what is said about them. Pure; every latency is in seconds."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Sample(NamedTuple):
    """One measured run of a program."""

    latency_s: float
    """From the intended start, which in an open loop may be before it was sent."""
    code: int
    """HTTP status, 0 if no response came; the exit code where a process is the thing measured."""
    verdict: str
    """`ok` only if the program's output was the expected one."""
    warm: bool = False
    late_s: float = 0.0
    """How long after the intended start the request left."""
    run_s: float = 0.0
    """Lease to result, as the answer says."""
    queue_s: float = 0.0
    """Submit to lease, as the answer says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The samples of one pass and how long the pass took."""

    samples: Sequence[Sample]
    elapsed_s: float

    @property
    def rate(self) -> float:
        """Good answers per second; failures are no throughput."""
        return sum(s.verdict == "ok" for s in self.samples) / self.elapsed_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What is kept of many samples. Latencies are those of good answers only."""

    count: int
    errors: int
    verdicts: dict[str, int]
    warm: float
    """Share of good answers that a warm cell gave."""
    rate: float
    p50_s: float
    p90_s: float
    p99_s: float
    max_s: float
    late_p99_s: float


def percentile(values: Iterable[float], share: float) -> float:
    """Smallest value that at least `share` (0 to 1) of the values do not exceed; NaN of none."""
    ordered = sorted(values)
    if not ordered:
        return math.nan
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1]


def quantiles(values: Iterable[float], count: int) -> list[float]:
    """So many of the values, evenly over their ranks: the distribution, small enough to be stored."""
    ordered = sorted(values)
    return [ordered[int((number + 0.5) / count * len(ordered))] for number in range(count)] if ordered else []


def pooled(runs: Iterable[Run]) -> Run:
    """Several passes as one."""
    parts = list(runs)
    return Run(samples=[s for r in parts for s in r.samples], elapsed_s=sum(r.elapsed_s for r in parts))


def summarise(run: Run) -> Summary:
    """Reduce a run to the figures that are stored."""
    good = [s for s in run.samples if s.verdict == "ok"]
    latencies = [s.latency_s for s in good]
    return Summary(
        count=len(run.samples),
        errors=len(run.samples) - len(good),
        verdicts=dict(Counter(s.verdict for s in run.samples)),
        warm=sum(s.warm for s in good) / len(good) if good else 0.0,
        rate=run.rate,
        p50_s=percentile(latencies, 0.50),
        p90_s=percentile(latencies, 0.90),
        p99_s=percentile(latencies, 0.99),
        max_s=percentile(latencies, 1.0),
        late_p99_s=percentile((s.late_s for s in good), 0.99),
    )
