"""Every worker metric, declared once. Base units, closed labels; read by Prometheus from `worker.http`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from jobs.model import Lane, Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client.core import Metric

    from jobs.model import Delivery, JobResult
    from sandbox.host.pool import Pool

disable_created_metrics()  # type: ignore[no-untyped-call]
# 0.1 s, the target, is an exact edge.
_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2.5, 5, 10, 30, 60)


class WorkerMetrics:
    """What one worker counts. Label children are bound once: `labels()` costs more than `observe`."""

    def __init__(self, slots: int) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        Gauge("evalpool_slots", "Programs that this worker runs at the same time.", registry=registry).set(slots)
        self._busy = Gauge("evalpool_slots_busy", "Slots with a job.", registry=registry)
        queue = Histogram(
            "evalpool_queue_wait_seconds", "Submit to lease.", ["lane"], buckets=_BUCKETS, registry=registry
        )
        run = Histogram("evalpool_run_seconds", "Lease to result.", ["lane"], buckets=_BUCKETS, registry=registry)
        finished = Counter("evalpool_evals_finished", "Jobs that got a result.", ["lane", "status"], registry=registry)
        self._queue = {lane: queue.labels(lane) for lane in Lane}
        self._run = {lane: run.labels(lane) for lane in Lane}
        self._finished = {(lane, status): finished.labels(lane, status) for lane in Lane for status in Status}
        self._redelivered = Counter(
            "evalpool_redeliveries", "Jobs leased again after a worker's death.", registry=registry
        )
        self._late = Counter(
            "evalpool_late_finishes", "Results dropped: another worker owned the job.", registry=registry
        )

    def leased(self, delivery: Delivery) -> None:
        """Count a lease."""
        if delivery.attempt > 1:
            self._redelivered.inc()

    def finished(self, delivery: Delivery, result: JobResult, *, stale: bool) -> None:
        """Count a finish."""
        if stale:
            self._late.inc()
            return
        self._queue[delivery.lane].observe(result.queue_ms / 1000)
        self._run[delivery.lane].observe(result.run_ms / 1000)
        self._finished[delivery.lane, result.status].inc()

    def busy(self, count: int) -> None:
        """Set the number of slots with a job."""
        self._busy.set(count)

    def watch(self, pools: Mapping[str, Pool]) -> None:
        """Export the state of warm pools at every scrape."""
        self.registry.register(_PoolCollector(pools))


class _PoolCollector:
    def __init__(self, pools: Mapping[str, Pool]) -> None:
        self._pools = pools

    def describe(self) -> Iterator[Metric]:
        return self.collect()

    def collect(self) -> Iterator[Metric]:
        cells = GaugeMetricFamily("evalpool_cells", "Cells that wait or start.", labels=["tier", "state"])
        acquired = CounterMetricFamily("evalpool_acquires", "Cells handed out.", labels=["tier", "warm"])
        stillborn = CounterMetricFamily("evalpool_cells_stillborn", "Cells that never got warm.", labels=["tier"])
        ends = CounterMetricFamily("evalpool_zygote_ends", "Zygotes replaced.", labels=["tier", "reason"])
        for tier, pool in self._pools.items():
            stats = pool.stats
            cells.add_metric([tier, "warm"], pool.warm)
            cells.add_metric([tier, "starting"], pool.starting)
            acquired.add_metric([tier, "hit"], stats.warm_hits)
            acquired.add_metric([tier, "miss"], stats.warm_misses)
            stillborn.add_metric([tier], stats.cells_stillborn)
            ends.add_metric([tier, "died"], stats.zygotes_died)
            ends.add_metric([tier, "worn"], stats.zygotes_worn)
        yield from (cells, acquired, stillborn, ends)
