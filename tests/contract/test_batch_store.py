"""Batches on a real server: what is taken in comes out once, in either order, wherever it was put meanwhile."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest
from lossy import lossy
from redis.exceptions import ConnectionError as RedisConnectionError

from jobs import wire
from jobs.batches.archive import Archive
from jobs.batches.model import BatchState, Draft
from jobs.batches.owners import Owners
from jobs.batches.results import Results
from jobs.batches.store import BatchStore, Intake
from jobs.batches.work import Submitted, Work, take_over
from jobs.errors import ArchiveError, BrokerFull, BrokerUnavailable, UploadLost
from jobs.model import Finish, Job, JobResult, Lane, Reason, SharedPart, Status, WorkerInfo
from jobs.settings import BrokerSettings
from jobs.shard_worker import worker_broker_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from jobs.batches.results import Completed
    from jobs.connect import Connections
    from jobs.model import Delivery
    from jobs.scripts import Script

SETTINGS = BrokerSettings(prefix="contract", lane_bounds={Lane.SINGLE: 9, Lane.BATCH: 500})


class Rig:
    """One batch, and a worker that runs what is told."""

    def __init__(
        self, connections: Connections, archive: Archive | None = None, *, result_bytes: int = 1 << 20
    ) -> None:
        self.connections = connections
        self.store = BatchStore(connections, SETTINGS, archive)
        self.worker = worker_broker_of([connections], SETTINGS, worker="w")
        self.draft = Draft(
            id="b", owner="o", created_at=time.time(), timeout_s=60, result_ttl_s=50, result_bytes=result_bytes
        )

    async def uploaded(self, count: int, **fields: object) -> None:
        intake = await self.begun()
        for index in range(count):
            await intake.add(replace(self.job(index), **fields))
        await intake.keep()
        await intake.commit(metadata={"a": "b"}, webhook=None)

    async def begun(self) -> Intake:
        intake = await self.store.take_in(self.draft)
        assert isinstance(intake, Intake)
        return intake

    def job(self, index: int) -> Job:
        now = self.draft.created_at
        return Job(
            id=f"b-{index}",
            code=f"print({index})",
            lane=Lane.BATCH,
            submitted_at=now,
            deadline_at=now + 60,
            batch="b",
            index=index,
            custom_id=f"item {index}",
        )

    async def taken_over(self) -> Work:
        work = await take_over(self.connections, SETTINGS, self.store, "b")
        assert isinstance(work, Work)
        return work

    async def submitted(self, work: Work, indexes: Sequence[int]) -> Submitted:
        word, dealt = await work.submit([await work.job(index) for index in indexes])
        assert word is not Submitted.OK or dealt == len(indexes)
        return word

    async def ran(self, count: int, **fields: object) -> list[Finish]:
        """Finish so many jobs that wait, the latest first."""
        deliveries = await self.worker.lease(single=0, batch=count, wait_s=0)
        return [await self.finished(delivery, **fields) for delivery in reversed(deliveries)]

    async def finished(self, delivery: Delivery, **fields: object) -> Finish:
        result = {"job_id": delivery.job.id, "status": Status.OK, "stdout": f"{delivery.job.index}\n"}
        return await self.worker.finish(delivery, JobResult(**(result | fields)))

    async def completed(self) -> list[Completed]:
        """All results in the order of completion."""
        results = Results(self.store, "b")
        found: list[Completed] = []
        while piece := await results.after(len(found)):
            found += piece
        return found

    async def in_order(self) -> list[int | None]:
        """Places of all items, in the order of the items; None where there is no result."""
        results = Results(self.store, "b")
        found: list[int | None] = []
        while piece := await results.in_order(len(found)):
            found += [one and one.line.place for one in piece]
        return found


@pytest.fixture
async def rig(connections: Connections) -> AsyncIterator[Rig]:
    yield Rig(connections)
    forever = (b"{contract}:environments", b"{contract}:dead", b"{contract}:cancels")
    async for key in connections.commands.scan_iter():
        lane = key.startswith(b"{contract}:lane:")
        assert lane or key in forever or await connections.commands.ttl(key) != -1, key


@pytest.fixture
def archive(tmp_path) -> Archive:
    return Archive(f"file://{tmp_path}/store")


@pytest.mark.parametrize("place", ["redis", "archive"])
async def test_results_are_the_same_before_and_after_they_are_packed(connections, archive, tmp_path, place):
    rig = Rig(connections, archive if place == "archive" else None)
    await rig.uploaded(1000)
    work = await rig.taken_over()
    for start in range(0, 1000, 250):
        await rig.submitted(work, range(start, start + 250))
        assert await rig.ran(250) == [Finish.RECORDED] * 250
    before = await rig.completed()
    await work.pack(1000, keep=100)

    left = await connections.commands.xlen("{contract}:batch:b:results")
    assert left == 1000 - 3 * 256
    assert await rig.completed() == before
    assert [one.cursor for one in before] == list(range(1, 1001))
    assert sorted(one.line.place for one in before) == list(range(1000))
    assert [wire.decode_result(one.line.result).stdout for one in before] == [f"{one.line.place}\n" for one in before]
    assert await rig.in_order() == list(range(1000))
    batch = await rig.store.get("b")
    assert (batch.state, batch.completed, batch.counts) == (BatchState.DONE, 1000, {Status.OK: 1000})
    assert bool(list(tmp_path.glob("store/b/*"))) == (place == "archive")


async def test_in_an_archive_next_to_nothing_is_in_redis(connections, archive, tmp_path):
    rig = Rig(connections, archive)
    await rig.uploaded(600)

    assert (
        sum([await connections.commands.memory_usage(key) async for key in connections.commands.scan_iter()]) < 20_000
    )
    with pytest.raises(ArchiveError):
        await Rig(connections).store.take_in(rig.draft) and await (await Rig(connections).taken_over()).job(0)
    await archive.remove("b")
    assert not list(tmp_path.glob("store/b"))
    await archive.remove("b")


async def test_an_item_is_submitted_once_whoever_asks(rig):
    await rig.uploaded(5)
    first = await rig.taken_over()
    assert await rig.submitted(first, range(3)) is Submitted.OK
    second = await rig.taken_over()

    assert await rig.submitted(first, range(5)) is Submitted.FENCED
    assert await rig.submitted(second, range(5)) is Submitted.OK
    assert await rig.ran(9) == [Finish.RECORDED] * 5
    assert not (await first.progress()).ours
    assert (await second.progress()).completed == 5


async def test_a_result_counts_once_even_if_the_item_ran_twice(rig):
    await rig.uploaded(3)
    work = await rig.taken_over()
    await rig.submitted(work, range(3))
    deliveries = await rig.worker.lease(single=0, batch=3, wait_s=0)
    await rig.finished(deliveries[0])
    await work.forget_lost()  # wrongly: two of them are still running
    await rig.submitted(work, range(3))

    again = await rig.worker.lease(single=0, batch=9, wait_s=0)
    assert [delivery.job.index for delivery in again] == [1, 2]
    finishes = [await rig.finished(delivery) for delivery in (deliveries[1], *again, deliveries[2])]

    assert finishes == [Finish.RECORDED, Finish.STALE, Finish.RECORDED, Finish.STALE]
    assert [one.line.place for one in await rig.completed()] == [0, 1, 2]


async def test_an_item_that_the_sandbox_failed_is_run_once_more(rig):
    await rig.uploaded(2)
    work = await rig.taken_over()
    await rig.submitted(work, range(2))
    failed = {"status": Status.INTERNAL, "reason": Reason.SANDBOX}
    assert await rig.ran(1, **failed) == [Finish.STALE]
    assert await work.wait(9, block_s=1), "the coordinator is told"
    assert await work.submitted() == b"\x40"

    await rig.submitted(work, range(2))
    assert await rig.ran(1) == [Finish.RECORDED]
    assert await rig.ran(1, **failed) == [Finish.RECORDED]
    assert (await rig.store.get("b")).counts == {Status.OK: 1, Status.INTERNAL: 1}


async def test_results_over_the_bound_keep_their_verdict_and_little_else(connections):
    rig = Rig(connections, result_bytes=5_000)
    await rig.uploaded(4)
    await rig.submitted(await rig.taken_over(), range(4))
    await rig.ran(4, stdout="x" * 3_000, status=Status.ERROR)

    found = [wire.decode_result(one.line.result) for one in await rig.completed()]
    assert [len(result.stdout) for result in found] == [3_000, 500, 500, 500]
    assert [result.stdout_truncated for result in found] == [False, True, True, True]
    assert {result.status for result in found} == {Status.ERROR}


async def test_an_ended_batch_takes_no_more_items_but_the_results_of_those_that_run(rig):
    await rig.uploaded(4)
    work = await rig.taken_over()
    await rig.submitted(work, range(2))
    assert await rig.store.end("b", BatchState.CANCELLED) is BatchState.RUNNING
    assert await rig.store.end("b", BatchState.FAILED) is BatchState.CANCELLED

    word, _ = await work.submit([rig.job(3)])
    assert word is Submitted.CLOSED
    assert await rig.ran(2, status=Status.CANCELLED) == [Finish.RECORDED] * 2
    assert (await rig.store.get("b")).state is BatchState.CANCELLED
    assert await take_over(rig.connections, SETTINGS, rig.store, "b") is BatchState.CANCELLED
    assert (await anext(rig.worker.cancellations())) == "b"


async def test_an_upload_is_seen_when_it_is_complete_and_another_with_its_id_takes_over(rig):
    first = await rig.begun()
    for index in range(300):
        await first.add(rig.job(index))
    assert await rig.store.get("b") is None
    second = await rig.begun()
    await second.add(rig.job(0))
    with pytest.raises(UploadLost):
        await first.commit(metadata={}, webhook=None)
    await first.give_up()
    await second.commit(metadata={}, webhook=None)
    await second.give_up()  # too late

    assert (await rig.store.get("b")).total == 1
    assert await rig.store.take_in(rig.draft) is BatchState.QUEUED


async def test_an_upload_lives_as_long_as_it_is_kept_however_few_items_come(rig, monkeypatch):
    """It was lost once when a minute did not fill a block, though items came all the time."""
    monkeypatch.setattr("jobs.keys.UPLOAD_TTL_S", 1)
    intake = await rig.begun()
    async with intake.kept():
        for index in range(2):
            await intake.add(rig.job(index))
            await asyncio.sleep(1.5)
        await intake.commit(metadata={}, webhook=None)

    assert (await rig.store.get("b")).total == 2


async def test_an_upload_that_nobody_keeps_vanishes_and_one_that_is_taken_over_is_told_so(rig, valkey, monkeypatch):
    monkeypatch.setattr("jobs.keys.UPLOAD_TTL_S", 1)
    first = await rig.begun()
    async with first.kept():
        second = await rig.begun()
        with pytest.raises(UploadLost):  # noqa: PT012
            for index in range(200):  # fewer than a block
                await first.add(rig.job(index))
                await asyncio.sleep(0.1)
    await second.add(rig.job(0))
    while list(valkey.client.scan_iter("*:batch:b*")):  # noqa: ASYNC110 (nobody tells when a key expires)
        await asyncio.sleep(0.1)

    with pytest.raises(UploadLost):
        await second.commit(metadata={}, webhook=None)


async def test_a_full_lane_takes_what_fits(rig):
    await rig.uploaded(600)
    work = await rig.taken_over()
    word, dealt = await work.submit([rig.job(index) for index in range(600)])

    assert (word, dealt) == (Submitted.FULL, 500)


async def test_items_of_an_environment_that_was_forgotten_are_answered_and_are_not_lost(rig):
    """A batch waits for its turn while the last worker of its environment goes, and the sweep forgets the empty lanes.

    Its items then were on a lane that nobody knew: never answered, taken for lost, and put there again, for ever.
    """
    await rig.uploaded(3, environment="node", deadline_at=time.time())
    work = await rig.taken_over()
    await rig.submitted(work, range(3))
    assert not await work.lanes_empty()

    worker = worker_broker_of([rig.connections], replace(SETTINGS, lease_s=0.01), worker="other")
    await asyncio.sleep(0.02)
    for delivery in await worker.reclaim(limit=9):
        await worker.finish(delivery, JobResult(job_id=delivery.job.id, status=Status.INTERNAL, reason=Reason.EXPIRED))

    assert (await rig.store.get("b")).state is BatchState.DONE
    assert await work.lanes_empty()


async def test_items_are_lost_whatever_waits_on_lanes_of_others(rig, valkey):
    await rig.uploaded(2, environment="node")
    work = await rig.taken_over()
    await rig.submitted(work, range(2))
    await rig.worker.announce(WorkerInfo(id="w", slots=1, environments=("default",), started_at=0))
    valkey.client.xadd("{contract}:lane:batch:default", {"job": b"another batch's"})
    assert not await work.lanes_empty()
    valkey.client.delete("{contract}:lane:batch:node")  # an operator

    assert await work.lanes_empty()


SCRIPTS = [file.name.removesuffix(".lua") for file in (files("jobs") / "scripts").iterdir()]
BATCH_SCRIPTS = [name for name in SCRIPTS if name.startswith("batch_")]


async def test_a_batch_lives_the_same_life_if_every_reply_to_it_is_lost_once(valkey, connections):
    """redis-py sends a command again whose reply was lost: each script runs twice.

    A caller was told that its upload is lost, while the batch ran; uploads broke off; and packing ended for good.
    """
    async with lossy(valkey.socket, *BATCH_SCRIPTS) as (bad, way):
        rig, owners = Rig(bad), Owners(bad, SETTINGS)
        assert await owners.reserve("o", "b", 900) == SETTINGS.open_items - 900
        await rig.uploaded(900)
        assert (await rig.store.get("b")).total == 900
        work = await rig.taken_over()
        for start in range(0, 900, 300):
            await rig.submitted(work, range(start, start + 300))
            assert len(await rig.ran(400)) == 300
        await work.pack(900, keep=10)
        await rig.store.end("b", BatchState.CANCELLED)
        await owners.webhooks.put("b", 1.0)
        assert await owners.webhooks.due(2.0, put_off_s=9, most=9) == ["b"]
        assert await owners.webhooks.due(2.0, put_off_s=10, most=9) == []

    assert set(way.lost) == set(BATCH_SCRIPTS)
    assert min(way.lost.values()) > 0
    rig = Rig(connections)
    assert (await rig.store.get("b")).counts == {Status.OK: 900}
    assert sorted(one.line.place for one in await rig.completed()) == list(range(900))
    assert await connections.commands.xlen("{contract}:batch:b:results") == 900 - 3 * 256


async def test_a_turn_goes_on_packing_where_it_was_after_a_pack_of_which_it_heard_nothing(rig, monkeypatch):
    """It may have been done, or not: what is packed next must not have the numbers of what was packed then."""
    await rig.uploaded(900)
    work = await rig.taken_over()
    for start in range(0, 900, 300):
        await rig.submitted(work, range(start, start + 300))
        await rig.ran(300)
    before = await rig.completed()
    with monkeypatch.context() as broken:
        broken.setattr(work, "_pack", _done_without_a_word(work._pack))
        with pytest.raises(BrokerUnavailable):
            await work.pack(600, keep=10)
    await rig.connections.commands.hset("{contract}:batch:b", "largest", 1 << 16)  # so that blocks are smaller now
    await work.pack(900, keep=10)

    assert await rig.completed() == before
    assert await rig.in_order() == list(range(900))


def _done_without_a_word(script: Script) -> Callable[..., Awaitable[None]]:
    async def call(*args: Any) -> None:
        await script(*args)
        raise RedisConnectionError("gone for longer than it is tried again")

    return call


async def test_a_result_for_a_batch_that_has_expired_goes_nowhere(rig, valkey):
    await rig.uploaded(1)
    await rig.submitted(await rig.taken_over(), range(1))
    for key in valkey.client.scan_iter("*:batch:b*"):
        valkey.client.delete(key)

    assert await rig.ran(1) == [Finish.STALE]
    assert not list(valkey.client.scan_iter("*:batch:b*"))


async def test_what_the_items_share_is_there_from_the_first_to_the_last(rig, valkey):
    part = SharedPart(code="", stdin="x" * 9)
    intake = await rig.begun()
    for index in range(2):
        await intake.add(rig.job(index))
    assert await rig.worker.shared("b") is None  # an upload that breaks off leaves nothing
    await intake.commit(metadata={}, webhook=None, part=part)
    await rig.submitted(await rig.taken_over(), range(2))
    assert await rig.ran(1) == [Finish.RECORDED]

    assert await rig.worker.shared("b") == part
    assert valkey.client.ttl("{contract}:shared:b") > 60  # as the batch
    assert await rig.ran(1) == [Finish.RECORDED]
    assert await rig.worker.shared("b") is None


async def test_what_the_items_of_a_cancelled_batch_share_is_there_until_all_workers_have_heard_of_it(rig, valkey):
    """A worker that takes an item before it hears of the end must not find that its program has expired."""
    intake = await rig.begun()
    await intake.add(rig.job(0))
    await intake.commit(metadata={}, webhook=None, part=SharedPart(code="1"))
    await rig.store.end("b", BatchState.CANCELLED)

    assert 0 < valkey.client.ttl("{contract}:shared:b") <= 60


async def test_on_a_full_server_a_batch_is_not_taken_in_and_a_running_one_goes_on(rig, valkey):
    """Items that have been submitted get their results, these are packed, and the batch can be ended."""
    await rig.ran(1)  # the groups of the lanes are there, as everywhere but at the start
    await rig.uploaded(600)
    work = await rig.taken_over()
    await rig.submitted(work, range(400))
    valkey.client.config_set("maxmemory", 1)
    try:
        with pytest.raises(BrokerFull):
            await BatchStore(rig.connections, SETTINGS).take_in(replace(rig.draft, id="c"))
        assert await work.submit([await work.job(400)]) == (Submitted.FULL, 0)
        assert await rig.ran(400) == [Finish.RECORDED] * 400
        work = await rig.taken_over()  # somebody who died of it
        before = valkey.client.xlen(work._names.results)
        await work.pack(400, keep=10)
        assert valkey.client.xlen(work._names.results) < before
        assert await rig.store.end("b", BatchState.CANCELLED) is BatchState.RUNNING
    finally:
        valkey.client.config_set("maxmemory", 0)

    assert len(await rig.completed()) == 400
