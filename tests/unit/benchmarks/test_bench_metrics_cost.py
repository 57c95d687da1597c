"""What measuring costs is measured by the calls that the service makes."""

from __future__ import annotations

from benchmarks.metrics_cost import of_a_job, of_a_request, seconds_of
from worker.metrics import WorkerMetrics


def test_the_calls_of_an_eval_count_it() -> None:
    metrics = WorkerMetrics(slots=16, starts=4)
    of_a_job(metrics)

    assert metrics.registry.get_sample_value("evalpool_total_seconds_count", {"lane": "single"}) == 1


def test_a_call_takes_time() -> None:
    assert 0 < seconds_of(of_a_request, loops=10, rounds=2) < 1
