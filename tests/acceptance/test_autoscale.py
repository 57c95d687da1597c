"""The story of autoscaling, short: a real Prometheus, the ScaledObject's queries, the HPA's algorithm, real workers.

Time passes 60 times as fast for the autoscaler: its windows, periods and ranges are divided by it.
"""

from __future__ import annotations

import asyncio

import pytest

from benchmarks.autoscale import manifest, story
from benchmarks.autoscale.__main__ import MANIFEST
from benchmarks.autoscale.run import Setup, run
from benchmarks.autoscale.story import Phase
from benchmarks.load import Program

pytestmark = [pytest.mark.jail, pytest.mark.timeout(300)]
PHASES = [
    Phase(name="quiet", start=5, end=5, duration_s=1),
    Phase(name="peak", start=24, end=24, duration_s=4.5),
    Phase(name="quiet again", start=5, end=5, duration_s=5.5),
]


async def test_workers_follow_the_load_up_and_down_and_lose_nothing() -> None:
    """One is killed at the peak, at least one drained behind it."""
    setup = Setup(
        scaling=manifest.read(MANIFEST).at_most(4),
        phases=lambda _: PHASES,
        factor=60,
        program=Program(code="import time\ntime.sleep(0.12)\nprint('awake')", stdout="awake\n"),
        slots=2,
        kill_at_s=4,
        warm_up_s=0.2,
        linger_s=40,
    )

    outcome = await asyncio.to_thread(run, setup, say=lambda _: None)

    counts = [moment.wanted for moment in outcome.moments]
    assert {sample.verdict for sample in outcome.run.samples} == {"ok"}
    assert len(outcome.run.samples) == len(story.arrivals(PHASES))
    assert counts[0] == 2 < max(counts)
    assert counts[-1] < max(counts)
    assert story.reversals(counts) == 1, f"flapping: {counts}"
    assert (outcome.killed, outcome.drained >= 1) == (1, True)
