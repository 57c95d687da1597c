"""Every metric of the api, declared once. Labels are closed sets: route templates, status classes, lanes."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobs.model import Lane, LaneStats

disable_created_metrics()  # type: ignore[no-untyped-call]

# 0.1 is the service's target, so it must be an edge.
_BUCKETS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2.5, 5, 10, 30, 60)
_REDIS_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5)

REQUEST_SECONDS = Histogram(
    "evalpool_request_seconds",
    "From the first byte of a request to the last of its answer.",
    ["route", "status"],
    buckets=_BUCKETS,
)
OVERHEAD_SECONDS = Histogram(
    "evalpool_overhead_seconds", "A single eval's request, less its program's own wall time.", buckets=_BUCKETS
)
PROBLEMS = Counter("evalpool_problems", "Requests answered by a problem document.", ["problem"])
IN_FLIGHT = Gauge("evalpool_requests_in_flight", "Requests that wait for their answer.")
LANE_DEPTH = Gauge("evalpool_lane_depth", "Jobs in the lane that wait for a worker.", ["lane"])
LANE_RUNNING = Gauge("evalpool_lane_running", "Jobs in the lane that a worker holds.", ["lane"])
LANE_OLDEST = Gauge("evalpool_lane_oldest_seconds", "Age of the oldest job that waits.", ["lane"])
BATCH_WAITING = Gauge("evalpool_batch_items_waiting", "Items of open batches that are on no lane yet.")
WORKERS = Gauge("evalpool_workers", "Workers that announced themselves.")
DEAD = Gauge("evalpool_dead_letter_jobs", "Jobs in the dead-letter stream.")
REDIS_SECONDS = Histogram(
    "evalpool_redis_round_trip_seconds", "One step on Redis and back, at each scrape.", buckets=_REDIS_BUCKETS
)
BROKER_UP = Gauge("evalpool_broker_up", "1 if Redis answered at this scrape; 0 makes the lane gauges stale.")
BUILD = Gauge("evalpool_build_info", "What runs here; always 1.", ["version", "python"])
BUILD.labels(version("evalpool"), platform.python_version()).set(1)

SHARDS_UNREACHABLE = Gauge("evalpool_shards_unreachable", "Redis of several that do not answer, while others do.")


@cache
def request_seconds(route: str, status_class: int) -> Histogram:
    """Bind the child for one route and class (2 for 2xx) once: `labels()` costs more than `observe()`."""
    return REQUEST_SECONDS.labels(route, f"{status_class}xx")


@cache
def problems(slug: str) -> Counter:
    """Bind the child for one kind of problem once."""
    return PROBLEMS.labels(slug)


def show_lanes(stats: Mapping[Lane, LaneStats]) -> None:
    """Set the lane gauges."""
    for lane, one in stats.items():
        LANE_DEPTH.labels(lane).set(one.waiting)
        LANE_RUNNING.labels(lane).set(one.running)
        LANE_OLDEST.labels(lane).set(one.oldest_s)
