"""`python -m benchmarks.metrics_cost`: what measuring costs per eval, and what a scrape costs. Prints a table.

The very calls of one single eval, in a loop: one request at the API, one job at the worker.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from prometheus_client import generate_latest

from api import metrics as api_metrics
from jobs.model import Delivery, Job, JobResult, Lane, Status
from worker.metrics import WorkerMetrics

if TYPE_CHECKING:
    from collections.abc import Callable

LOOPS = 20_000
ROUNDS = 5
SETTLES = 3
"""A job comes, is young no more, goes: each time the worker says how full it is."""
DELIVERY = Delivery(
    job=Job(id="1", code="", submitted_at=0, deadline_at=0), lane=Lane.SINGLE, entry_id="1-0", attempt=1
)
RESULT = JobResult(job_id="1", status=Status.OK, queue_ms=1, run_ms=3)


def of_a_request() -> None:
    """What `api.edge` and `api.routes.evals` count for one eval."""
    api_metrics.IN_FLIGHT.inc()
    api_metrics.IN_FLIGHT.dec()
    api_metrics.request_seconds("/v1/eval", 2).observe(0.004)
    api_metrics.OVERHEAD_SECONDS.observe(0.003)


def of_a_job(metrics: WorkerMetrics) -> None:
    """What `worker.consumer` counts for one job."""
    metrics.leased(DELIVERY)
    for _ in range(SETTLES):
        metrics.busy(1, young=1)
    metrics.finished(DELIVERY, RESULT, stale=False)


def seconds_of(step: Callable[[], object], *, loops: int = LOOPS, rounds: int = ROUNDS) -> float:
    """Seconds of one call, in the best of a few rounds."""
    best = float("inf")
    for _ in range(rounds):
        began = time.perf_counter()
        for _ in range(loops):
            step()
        best = min(best, time.perf_counter() - began)
    return best / loops


def main() -> None:
    """Measure and print."""
    metrics = WorkerMetrics(slots=16, starts=4)
    figures = {
        "API, per eval": seconds_of(of_a_request),
        "worker, per eval": seconds_of(lambda: of_a_job(metrics)),
        "API, per scrape (without Redis)": seconds_of(generate_latest, loops=50),
        "worker, per scrape": seconds_of(lambda: generate_latest(metrics.registry), loops=50),
    }
    for name, seconds in figures.items():
        print(f"{name:34} {seconds * 1e6:10.1f} us")


if __name__ == "__main__":
    main()
