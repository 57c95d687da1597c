"""Every worker metric, declared once. Base units, closed labels; read by Prometheus from `worker.http`."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily

from jobs.model import Lane, Reason, Status
from worker.load import LoadMeter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from prometheus_client.core import Metric

    from jobs.model import Delivery, JobResult
    from sandbox.host.pool import Pool

disable_created_metrics()  # type: ignore[no-untyped-call]
# 0.1 s, the target, is an exact edge.
_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2.5, 5, 10, 30, 60)
_REDIS_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5)

_POOL = ("environment", "tier")


class WorkerMetrics:
    """What one worker counts. Label children are bound once: `labels()` costs more than `observe`."""

    def __init__(self, *, slots: int, starts: int) -> None:
        self.registry = registry = CollectorRegistry()
        self._load = LoadMeter(slots=slots, starts=starts)
        ProcessCollector(registry=registry)
        registry.register(_LoadCollector(self._load))
        Gauge("evalpool_slots", "Programs that this worker runs at the same time.", registry=registry).set(slots)
        Gauge("evalpool_starts", "Programs of these that may be young.", registry=registry).set(starts)
        build = Gauge("evalpool_build_info", "What runs here; always 1.", ["version", "python"], registry=registry)
        build.labels(version("evalpool"), platform.python_version()).set(1)
        self._busy = Gauge("evalpool_slots_busy", "Slots with a job.", registry=registry)
        self._draining = Gauge("evalpool_draining", "1 once the worker was told to stop.", registry=registry)
        self._queue = _by_lane("evalpool_queue_wait_seconds", "Submit to lease.", registry)
        self._run = _by_lane("evalpool_run_seconds", "Lease to result.", registry)
        self._total = _by_lane("evalpool_total_seconds", "Submit to result.", registry)
        finished = Counter("evalpool_evals_finished", "Jobs that got a result.", ["lane", "status"], registry=registry)
        self._finished = {(lane, status): finished.labels(lane, status) for lane in Lane for status in Status}
        self._redelivered = Counter(
            "evalpool_redeliveries", "Jobs leased again after a worker's death.", registry=registry
        )
        self._late = Counter(
            "evalpool_late_finishes", "Results dropped: another worker owned the job.", registry=registry
        )
        self._dead = Counter("evalpool_dead_letters", "Jobs given up: workers died under them.", registry=registry)
        self._redis = Histogram(
            "evalpool_redis_round_trip_seconds",
            "One step on Redis and back.",
            buckets=_REDIS_BUCKETS,
            registry=registry,
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
        lane, queue_s, run_s = delivery.lane, result.queue_ms / 1000, result.run_ms / 1000
        self._queue[lane].observe(queue_s)
        self._run[lane].observe(run_s)
        self._total[lane].observe(queue_s + run_s)
        self._finished[lane, result.status].inc()
        if result.reason is Reason.ATTEMPTS:
            self._dead.inc()

    def busy(self, running: int, *, young: int) -> None:
        """Say how many slots have a job, and how many of those jobs are young."""
        self._busy.set(running)
        self._load.set(running=running, young=young)

    def draining(self) -> None:
        """Say that no more is leased."""
        self._draining.set(1)

    def redis_round_trip(self, took_s: float) -> None:
        """Count one."""
        self._redis.observe(took_s)

    def watch(self, pools: Callable[[], Iterable[tuple[str, str, Pool]]]) -> None:
        """Export the state of warm pools (environment, tier, pool) at every scrape."""
        self.registry.register(_PoolCollector(pools))


def _by_lane(name: str, text: str, registry: CollectorRegistry) -> dict[Lane, Histogram]:
    histogram = Histogram(name, text, ["lane"], buckets=_BUCKETS, registry=registry)
    return {lane: histogram.labels(lane) for lane in Lane}


class _LoadCollector:
    def __init__(self, meter: LoadMeter) -> None:
        self._meter = meter

    def describe(self) -> Iterator[Metric]:
        return self.collect()

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily("evalpool_load_seconds", "Seconds of full load.", value=self._meter.full_s())


class _PoolCollector:
    def __init__(self, pools: Callable[[], Iterable[tuple[str, str, Pool]]]) -> None:
        self._pools = pools

    def describe(self) -> Iterator[Metric]:
        return self.collect()

    def collect(self) -> Iterator[Metric]:
        cells = GaugeMetricFamily("evalpool_cells", "Cells that wait or start.", labels=[*_POOL, "state"])
        acquired = CounterMetricFamily("evalpool_acquires", "Cells handed out.", labels=[*_POOL, "warm"])
        refills = SummaryMetricFamily("evalpool_refill_seconds", "Fork of a cell to warm.", labels=_POOL)
        faults = CounterMetricFamily("evalpool_cell_faults", "Cells that failed us.", labels=[*_POOL, "reason"])
        ends = CounterMetricFamily("evalpool_zygote_ends", "Zygotes replaced.", labels=[*_POOL, "reason"])
        for name, tier, pool in self._pools():
            stats = pool.stats
            cells.add_metric([name, tier, "warm"], pool.warm)
            cells.add_metric([name, tier, "starting"], pool.starting)
            acquired.add_metric([name, tier, "hit"], stats.warm_hits)
            acquired.add_metric([name, tier, "miss"], stats.warm_misses)
            refills.add_metric([name, tier], count_value=stats.refills, sum_value=stats.refill_s)
            faults.add_metric([name, tier, "stillborn"], stats.cells_stillborn)
            faults.add_metric([name, tier, "idle"], stats.cells_idle)
            faults.add_metric([name, tier, "broken"], stats.cells_broken)
            ends.add_metric([name, tier, "died"], stats.zygotes_died)
            ends.add_metric([name, tier, "worn"], stats.zygotes_worn)
            ends.add_metric([name, tier, "unbooted"], stats.zygotes_unbooted)
        yield from (cells, acquired, refills, faults, ends)
