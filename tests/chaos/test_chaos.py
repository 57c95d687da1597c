"""Random kills under load: every accepted job gets exactly one result, and nothing is left behind.

`EVAL_CHAOS_S` makes it longer (`make chaos`: three minutes), `EVAL_CHAOS_SEED` repeats the order of a storm.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from typing import TYPE_CHECKING

import pytest
import sweep
from audit import Audit, audit, keep_whole
from cluster import Cluster, until
from storm import APIS, WORKERS, Kind, Storm
from traffic import Told, Traffic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cluster import Service

SECONDS = float(os.environ.get("EVAL_CHAOS_S", "1"))
SEED = int(os.environ.get("EVAL_CHAOS_SEED", "1"))
REST_S = 60
QUEUE_S = 300
"""For a job to wait: what chaos delays is late, never refused for being late."""
SPARE_DESCRIPTORS = 60
"""More cells may be warm at one count than at another; a leak would show once per job."""
pytestmark = [pytest.mark.jail, pytest.mark.timeout(120 + 2 * SECONDS)]


@pytest.fixture
def stormy() -> Iterator[Cluster]:
    """Of the bare interpreter: workers start sooner."""
    with Cluster(None, EVAL_QUEUE_TIMEOUT_S=QUEUE_S) as cluster:
        for _ in range(WORKERS - 1):
            cluster.start_worker()
        for _ in range(APIS - 1):
            cluster.start_api()
        yield cluster


async def test_chaos(stormy: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    cluster = stormy
    await cluster.ready()
    keep_whole(cluster.redis)
    at_first = await _descriptors(cluster)
    storm, traffic = Storm(cluster, random.Random(SEED)), Traffic(cluster, random.Random(SEED))
    traffic.start(waiting=8, leaving=4)
    began = time.monotonic()
    await storm.rage(SECONDS)
    await storm.calm()
    raged_s = time.monotonic() - began
    await traffic.stop()
    await traffic.collect()
    await traffic.aclose()
    await _rest(cluster)
    found = audit(cluster.data_dir)
    with capsys.disabled():
        sys.stdout.write(f"\nchaos: {_summary(found, traffic.told, storm, raged_s)}\n")
    _judge(found, traffic.told)
    assert traffic.told.killed <= storm.done[Kind.CELL]
    await _swept(cluster, at_first)
    workers = [service for service in cluster.services if service.name == "worker"]
    cluster.stop()
    assert _remains(cluster, workers) == []


def _judge(found: Audit, told: Told) -> None:
    assert found.lost == []
    assert found.twice == []
    assert told.wrong == []
    assert (told.accepted.keys() | told.answered) - found.jobs.keys() == set(), "accepted, and the server forgot"
    assert told.refused.keys() <= {"queue-unavailable"}


async def _rest(cluster: Cluster) -> None:
    """Nothing waits and nothing runs; what nobody waited for is done too."""
    deadline = time.monotonic() + REST_S
    while left := sweep.keys_left(cluster.redis):
        assert time.monotonic() < deadline, left
        await asyncio.sleep(0.2)


async def _swept(cluster: Cluster, at_first: dict[str, int]) -> None:
    workers = [service for service in cluster.services if service.name == "worker"]
    checks: dict[str, Callable[[], list[str]]] = {
        "cgroups": lambda: sweep.cgroups_left(workers),
        "folders": lambda: sweep.folders_left(cluster),
        "zombies": lambda: sweep.zombies_of(cluster),
        "mounts": lambda: sweep.mounts_of(cluster.state),
    }
    for what, left in checks.items():
        await until(lambda left=left: left() == [], f"no {what}: {left()}")
    at_last = await _descriptors(cluster)
    assert {name: count for name, count in at_last.items() if count > at_first[name] + SPARE_DESCRIPTORS} == {}


def _remains(cluster: Cluster, workers: list[Service]) -> list[str]:
    return [
        *sweep.processes_of(cluster.state),
        *sweep.mounts_of(cluster.state),
        *sweep.cgroups_left(workers),
        *sweep.folders_left(cluster),
        *map(str, cluster.state.glob("**/*.sock")),
    ]


async def _descriptors(cluster: Cluster) -> dict[str, int]:
    """Per kind of service the most that one has open at rest, after all its slots were used."""
    await cluster.ready()
    await cluster.evals(*["import time; time.sleep(0.2)"] * 16)
    await until(lambda: all(worker.busy == 0 for worker in cluster.alive("worker")), "rest")
    return {name: max(map(sweep.descriptors, cluster.alive(name))) for name in ("worker", "api")}


def _summary(found: Audit, told: Told, storm: Storm, raged_s: float) -> str:
    kills = ", ".join(f"{kind} {storm.done[kind]}" for kind in Kind)
    jobs = len(found.jobs)
    asynchronous = sum(job.keep_result for job in found.jobs.values())
    return (
        f"seed {SEED}, {raged_s:.0f} s, jobs {jobs} ({jobs - asynchronous} waited for, {asynchronous} not), "
        f"kills {sum(storm.done.values())} ({kills}), losses {len(found.lost)}, duplicates {len(found.twice)}, "
        f"wrong {len(told.wrong)}, retried {told.again}, given up {len(found.given_up)}, "
        f"not connected {told.broken}, refused {sum(told.refused.values())}"
    )
