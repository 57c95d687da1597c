"""Random kills under load: every accepted job comes to exactly one end, and nothing is left behind.

A job that three workers died under is given up. That is an end: its caller is told that we failed, never a verdict.
`EVAL_CHAOS_S` makes it longer (`make chaos`: three minutes), `EVAL_CHAOS_SEED` repeats the order of a storm.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import sweep
from audit import Audit, audit, keep_whole
from cluster import Cluster, until
from storm import APIS, WORKERS, Kind, Storm
from traffic import Told, Traffic

from jobs.model import Reason
from jobs.settings import BrokerSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cluster import Service

SECONDS = float(os.environ.get("EVAL_CHAOS_S", "1"))
SEED = int(os.environ.get("EVAL_CHAOS_SEED", "1"))
REST_S = 60
QUEUE_S = 300
"""For a job to wait: what chaos delays is late, never refused for being late."""
WORKERS_TRIED, CELLS_TRIED = BrokerSettings().max_attempts, 3
"""A job is given up when so many workers, or so many cells of one worker, have died under it."""
SPARE_DESCRIPTORS = 60
"""More cells may be warm at one count than at another; a leak would show once per job."""
pytestmark = [pytest.mark.jail, pytest.mark.timeout(240 + 2 * SECONDS)]


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
    raged_s = await _weathered(storm, traffic)
    await _rest(cluster)
    found = audit(cluster.data_dir)
    with capsys.disabled():
        sys.stdout.write(f"\nchaos: {_summary(found, traffic.told, storm, raged_s)}\n")
    _judge(found, traffic.told)
    _judge_given_up(found, cluster)
    assert traffic.told.killed <= storm.done[Kind.CELL]
    await _swept(cluster, at_first)
    workers = [service for service in cluster.services if service.name == "worker"]
    cluster.stop()
    assert _remains(cluster, workers) == []


async def _weathered(storm: Storm, traffic: Traffic) -> float:
    """Load and harm, until all that was asked for has its answer. How long the harm went on, in seconds."""
    traffic.start(waiting=8, leaving=4)
    began = time.monotonic()
    await storm.rage(SECONDS)
    await storm.calm()
    raged_s = time.monotonic() - began
    await traffic.stop()
    await traffic.collect()
    await traffic.aclose()
    return raged_s


def _judge(found: Audit, told: Told) -> None:
    """Each job has come to one end, and that is what its caller was told."""
    assert found.lost == []
    assert found.twice == []
    assert told.wrong == []
    assert (told.accepted.keys() | told.ended) - found.jobs.keys() == set(), "accepted, and the server forgot"
    assert told.given_up == {job_id: why for job_id, why in found.given_up.items() if job_id in told.ended}
    assert told.refused.keys() <= {"queue-unavailable"}


def _judge_given_up(found: Audit, cluster: Cluster) -> None:
    """No job was given up sooner than is promised."""
    why = found.given_up
    assert found.dead == {job_id for job_id in why if why[job_id] is Reason.ATTEMPTS}
    assert {job_id for job_id in found.dead if found.results[job_id][0].attempt <= WORKERS_TRIED} == set()
    failures = Counter(failure["job_id"] for failure in _failures(cluster))
    assert {job_id for job_id in why if why[job_id] is Reason.SANDBOX and failures[job_id] < CELLS_TRIED} == set()


def _failures(cluster: Cluster) -> Iterator[dict[str, Any]]:
    """What the workers logged of runs whose cell died."""
    lines = (line for service in cluster.services for line in service.said().splitlines())
    return (json.loads(line) for line in lines if '"run_failed"' in line)


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
    """Per kind of service the most that one has open at rest, after all its slots were used, and every one served."""
    await cluster.ready()
    answers = await cluster.evals(*["import time; time.sleep(0.2)"] * 16)
    assert {answer.verdict for answer in answers} == {"ok"}
    await until(lambda: all(worker.busy == 0 for worker in cluster.alive("worker")), "rest")
    return {name: max(map(sweep.descriptors, cluster.alive(name))) for name in ("worker", "api")}


def _summary(found: Audit, told: Told, storm: Storm, raged_s: float) -> str:
    kills = ", ".join(f"{kind} {storm.done[kind]}" for kind in Kind)
    jobs = len(found.jobs)
    asynchronous = sum(job.keep_result for job in found.jobs.values())
    given_up = Counter(map(str, found.given_up.values()))
    return (
        f"seed {SEED}, {raged_s:.0f} s, jobs {jobs} ({jobs - asynchronous} waited for, {asynchronous} not), "
        f"kills {sum(storm.done.values())} ({kills}), losses {len(found.lost)}, duplicates {len(found.twice)}, "
        f"wrong {len(told.wrong)}, retried {told.again}, given up {given_up.total()} {dict(given_up)}, "
        f"not connected {told.broken}, refused {sum(told.refused.values())}"
    )
