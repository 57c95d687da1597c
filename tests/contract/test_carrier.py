"""RQ's side of a batch, on a real server: handed over once, found again whatever became of its job."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from rq.executions import Execution
from rq.job import JobStatus
from rq.registry import StartedJobRegistry

from api.batches.keeper import Keeper
from jobs.batches.carrier import QUEUE, Carrier
from jobs.batches.model import BatchState, Draft
from jobs.batches.owners import Owners
from jobs.batches.store import BatchStore, Intake
from jobs.errors import TooManyBatches
from jobs.model import Job
from jobs.settings import BrokerSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS = BrokerSettings(prefix="contract", open_batches=2, open_items=10)


@pytest.fixture
def carrier(valkey, connections) -> Iterator[Carrier]:  # noqa: ARG001 (an empty server)
    opened = Carrier(valkey.url)
    yield opened
    opened.close()


def jobs(carrier: Carrier) -> list[str]:
    return carrier._queue.get_job_ids()


def test_a_batch_is_handed_over_once(carrier):
    for _ in range(2):
        carrier.enqueue("b", result_ttl_s=60)

    assert jobs(carrier) == ["b"]
    assert carrier.carries("b")
    assert carrier.others_wait()
    job = carrier._job("b")
    assert (job.func_name, job.args) == ("worker.batches.coordinator.coordinate", ["b"])


def test_a_stopped_batch_leaves_the_queue(carrier):
    carrier.enqueue("b", result_ttl_s=60)
    carrier.stop("b")
    carrier.stop("unknown")

    assert jobs(carrier) == []
    assert not carrier.carries("b")


def test_a_job_in_no_list_is_not_carried(carrier, valkey):
    """A worker that died as it took it."""
    carrier.enqueue("b", result_ttl_s=60)
    valkey.client.delete(f"rq:queue:{QUEUE}")

    assert not carrier.carries("b")
    carrier.replace("b", result_ttl_s=60)
    assert carrier.carries("b")


@pytest.mark.parametrize(("silent_s", "back"), [(3, False), (7, True)])
def test_the_job_of_a_silent_worker_comes_back(carrier, valkey, silent_s, back):
    carrier.enqueue("b", result_ttl_s=60)
    valkey.client.delete(f"rq:queue:{QUEUE}")
    job = carrier._job("b")
    job.set_status(JobStatus.STARTED)
    execution = Execution(id="e", job_id="b", connection=carrier._redis)
    registry = StartedJobRegistry(QUEUE, connection=carrier._redis, serializer=carrier._queue.serializer)
    with carrier._redis.pipeline() as pipeline:
        registry.add_execution(execution, pipeline=pipeline, ttl=62 - silent_s)  # RQ: 60 s after the next sign of life
        pipeline.execute()
    carrier.reap()

    assert (jobs(carrier) == ["b"]) == back


async def test_the_keeper_hands_over_what_rq_has_lost_and_closes_what_has_ended(carrier, connections):
    store, owners = BatchStore(connections, SETTINGS), Owners(connections, SETTINGS)
    desk = SimpleNamespace(carrier=carrier, owners=owners, store=lambda _: store, archive=None, result_ttl_s=60)
    keeper = Keeper(cast("Any", desk))
    for batch in ("lost", "ended", "gone"):
        await owners.enter("o", batch, time.time())
    for batch in ("lost", "ended"):
        draft = Draft(id=batch, owner="o", created_at=0, timeout_s=60, result_ttl_s=60, result_bytes=1)
        intake = await store.take_in(draft)
        assert isinstance(intake, Intake)
        await intake.add(Job(id=batch, code="", submitted_at=0, deadline_at=0, batch=batch))
        await intake.commit(metadata={}, webhook="http://example.org/")
    await store.end("ended", BatchState.CANCELLED)

    await keeper.round()
    assert await asyncio.to_thread(jobs, carrier) == [], "it may be on its way"
    await keeper.round()
    assert await asyncio.to_thread(jobs, carrier) == ["lost"]
    assert list(await owners.open(9)) == [("o", "lost")]
    assert await owners.webhooks.due(time.time(), put_off_s=5, most=9) == ["ended"]


async def test_an_owner_has_so_many_open_and_so_many_items(connections):
    owners = Owners(connections, SETTINGS)
    assert await owners.reserve("o", "a", 0) == 10
    assert await owners.reserve("o", "a", 7) == 3
    assert await owners.reserve("o", "b", 3) == 0
    with pytest.raises(TooManyBatches, match="2 of 2 batches"):
        await owners.reserve("o", "c", 0)
    await owners.release("o", "b")
    with pytest.raises(TooManyBatches, match="7 of 10 items"):
        await owners.reserve("o", "c", 4)

    assert await owners.reserve("other", "c", 10) == 0
