"""What a worker leases of which lane, with programs that end when told to."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from cluster import until

from jobs.errors import BrokerUnavailable, WireError
from jobs.memory_broker import MemoryBroker
from jobs.model import Finish, Job, JobResult, Lane, Reason, Status
from jobs.tail import stop
from worker import consumer as consumers
from worker.consumer import Consumer
from worker.metrics import WorkerMetrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from jobs.model import Delivery

SLOTS, STARTS = 8, 4


class Pool:
    """A broker, a worker's consumer, and programs that run until they are let go."""

    def __init__(self) -> None:
        self.broker = MemoryBroker()
        self.running: dict[str, asyncio.Event] = {}
        self.started: list[str] = []
        self.sizes: dict[str, int] = {}
        runner = SimpleNamespace(is_poison=lambda _: False, run=self._run)
        self.consumer = Consumer(
            self.broker.worker("w"),
            cast("Any", runner),
            WorkerMetrics(slots=SLOTS, starts=STARTS),
            slots=SLOTS,
            starts=STARTS,
        )

    async def _run(self, delivery: Delivery) -> JobResult:
        self.started.append(delivery.job.id)
        self.running[delivery.job.id] = done = asyncio.Event()
        await done.wait()
        del self.running[delivery.job.id]
        return JobResult(job_id=delivery.job.id, status=Status.OK, stdout="x" * self.sizes.get(delivery.job.id, 0))

    async def submit(self, name: str, count: int, lane: Lane) -> None:
        now = time.time()
        for number in range(count):
            job = Job(id=f"{name}{number}", code="", lane=lane, submitted_at=now, deadline_at=now + 60)
            await self.broker.submit(job)

    async def settled(self) -> set[str]:
        """What runs when nothing more starts, for as long as programs are young. In turns of the loop, whose time may
        stand still on a busy machine."""
        for _ in range(30):
            await asyncio.sleep(0.001)
        return set(self.running)


@pytest.fixture(autouse=True)
def young_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumers, "YOUNG_S", 600)


@asynccontextmanager
async def consuming() -> AsyncIterator[Pool]:
    pool = Pool()
    task = asyncio.create_task(pool.consumer.consume())
    yield pool
    for done in pool.running.values():
        done.set()
    await stop(task)  # a lease that waits would wait for a second
    await pool.consumer.drain(task, 1)


async def test_a_batch_takes_every_start_and_leaves_one_for_who_waits():
    async with consuming() as pool:
        await pool.submit("batch", 20, Lane.BATCH)
        assert await pool.settled() == {"batch0", "batch1", "batch2", "batch3"}
        await pool.submit("single", 1, Lane.SINGLE)

        assert await pool.settled() == {"batch0", "batch1", "batch2", "batch3", "single0"}


async def test_long_programs_of_a_batch_leave_a_slot_free(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(consumers, "YOUNG_S", 0.01)
    async with consuming() as pool:
        await pool.submit("batch", 20, Lane.BATCH)
        await until(lambda: len(pool.running) == SLOTS - 1, "they are old")
        assert len(await pool.settled()) == SLOTS - 1
        await pool.submit("single", 1, Lane.SINGLE)

        assert "single0" in await pool.settled()


async def test_a_start_that_a_batchs_program_frees_is_taken_at_once():
    """A wait for the lane `single` alone once kept the next of a batch waiting for a second."""
    async with consuming() as pool:
        await pool.submit("batch", 20, Lane.BATCH)
        await pool.settled()
        for name in ("batch0", "batch1"):
            pool.running[name].set()

        assert await pool.settled() == {"batch2", "batch3", "batch4", "batch5"}


async def test_a_batch_that_is_cancelled_runs_no_more():
    async with consuming() as pool:
        now = time.time()
        for number in range(6):
            job = Job(
                id=f"b-{number}",
                code="",
                lane=Lane.BATCH,
                batch="b",
                index=number,
                submitted_at=now,
                deadline_at=now + 60,
            )
            await pool.broker.submit(job)
        assert len(await pool.settled()) == STARTS
        pool.consumer.cancel("b")

        await asyncio.sleep(0.15)
        assert not (await pool.broker.depth(Lane.BATCH))


async def test_big_results_go_out_one_by_one_and_small_ones_between_them(monkeypatch: pytest.MonkeyPatch):
    """Eight floods at once held every answer up for 200 ms."""
    async with consuming() as pool:
        under_way: list[str] = []
        gone = asyncio.Event()

        async def finish(delivery: Delivery, _: JobResult) -> Finish:
            under_way.append(delivery.job.id)
            if delivery.job.id in pool.sizes:
                await gone.wait()
            return Finish.RECORDED

        monkeypatch.setattr(pool.consumer._broker, "finish", finish)
        pool.sizes = {"job0": 1 << 20, "job1": 1 << 20}
        await pool.submit("job", 3, Lane.SINGLE)
        await pool.settled()
        for done in list(pool.running.values()):
            done.set()
        await pool.settled()
        assert under_way == ["job0", "job2"]

        gone.set()
        await pool.settled()
        assert under_way == ["job0", "job2", "job1"]


@pytest.mark.parametrize("fault", [None, BrokerUnavailable("away")])
async def test_big_results_for_a_redis_that_stands_still_are_what_only_those_for_it_wait_for(
    monkeypatch: pytest.MonkeyPatch, fault: Exception | None
):
    """One lock for all of them: a shard that had stopped kept the big results for the others waiting for 35 s."""
    pool = Pool()
    recorded: list[str] = []
    still = asyncio.Event()

    async def finish(delivery: Delivery, _: JobResult) -> Finish:
        if delivery.shard == 0:
            await still.wait()
            raise fault or AssertionError
        recorded.append(delivery.job.id)
        return Finish.RECORDED

    monkeypatch.setattr(pool.consumer._broker, "finish", finish)
    pool.sizes = {f"job{number}": 1 << 20 for number in range(4)}
    await pool.submit("job", 4, Lane.SINGLE)
    leased = await pool.consumer._broker.lease(single=4, batch=0, wait_s=0)
    pool.consumer.start(replace(one, shard=number // 3) for number, one in enumerate(leased))
    await pool.settled()
    for done in list(pool.running.values()):
        done.set()
    await pool.settled()
    assert recorded == [leased[3].job.id]

    if fault:  # then those that wait for it take no slots either
        still.set()
        await pool.settled()
        assert pool.consumer._busy() == 0
    for running in list(pool.consumer._running):
        running.lost = True
        await stop(running.task)


async def test_a_result_that_cannot_be_recorded_is_a_failure_of_ours_that_the_caller_hears_of(
    monkeypatch: pytest.MonkeyPatch,
):
    """The job was held for ever: never recorded, never leased again."""
    results: list[JobResult] = []

    async def finish(_: Delivery, result: JobResult) -> Finish:
        if result.status is Status.OK:
            raise WireError("not encodable")
        results.append(result)
        return Finish.RECORDED

    async with consuming() as pool:
        monkeypatch.setattr(pool.consumer._broker, "finish", finish)
        await pool.submit("job", 1, Lane.SINGLE)
        await pool.settled()
        pool.running["job0"].set()
        await pool.settled()

        assert [(result.status, result.reason) for result in results] == [(Status.INTERNAL, Reason.SANDBOX)]
        assert not pool.consumer.deliveries


async def test_programs_start_while_big_results_go_out(monkeypatch: pytest.MonkeyPatch):
    async with consuming() as pool:
        gone = asyncio.Event()

        async def finish(*_: object) -> Finish:
            await gone.wait()
            return Finish.RECORDED

        monkeypatch.setattr(pool.consumer._broker, "finish", finish)
        pool.sizes = {f"job{number}": 1 << 20 for number in range(STARTS)}
        await pool.submit("job", STARTS + 1, Lane.SINGLE)
        started = await pool.settled()
        for done in list(pool.running.values()):
            done.set()

        assert started == set(pool.sizes)
        assert await pool.settled() == {f"job{STARTS}"}
        gone.set()


async def test_a_cancel_that_comes_while_the_result_is_recorded_does_not_lose_it(monkeypatch: pytest.MonkeyPatch):
    """The job once was nobody's until its lease ran out, and then was taken over and counted as of a dead worker."""
    async with consuming() as pool:
        recording, recorded = asyncio.Event(), asyncio.Event()
        finish = pool.consumer._broker.finish

        async def slow(delivery: Delivery, result: JobResult) -> Finish:
            recording.set()
            await recorded.wait()
            return await finish(delivery, result)

        monkeypatch.setattr(pool.consumer._broker, "finish", slow)
        await pool.submit("job", 1, Lane.SINGLE)
        await pool.settled()
        pool.consumer.cancel("job0")  # kills the program; its result is that it was cancelled
        await recording.wait()
        pool.consumer.cancel("job0")
        pool.consumer.lose(pool.consumer.deliveries)  # as a renewal that crosses the finish says
        recorded.set()
        await pool.settled()

        assert not await pool.broker.depth(Lane.SINGLE)


async def test_a_cancel_that_comes_before_a_jobs_first_step_ends_its_lease_and_frees_its_slot():
    """A worker that heard of a job and of its cancel in one turn of the loop once held both for ever."""
    pool = Pool()
    await pool.submit("job", 1, Lane.SINGLE)
    pool.consumer.start(await pool.consumer._broker.lease(single=1, batch=0, wait_s=0))
    pool.consumer.cancel("job0")

    assert await pool.settled() == set()
    assert not pool.consumer.deliveries
    assert not await pool.broker.depth(Lane.SINGLE)


async def test_a_job_that_is_lost_before_its_first_step_does_not_run_here():
    pool = Pool()
    await pool.submit("job", 1, Lane.SINGLE)
    leased = await pool.consumer._broker.lease(single=1, batch=0, wait_s=0)
    pool.consumer.start(leased)
    pool.consumer.lose(leased)

    assert await pool.settled() == set()
    assert not pool.consumer.deliveries
    assert await pool.broker.depth(Lane.SINGLE) == 1


async def test_jobs_of_the_dead_come_before_new_ones_however_many_there_are(monkeypatch: pytest.MonkeyPatch):
    """Where new jobs took every slot as it came free, they once waited until no new one was left."""
    monkeypatch.setattr(consumers, "_LOOK_S", 0.05)
    monkeypatch.setattr(consumers, "YOUNG_S", 0.1)
    async with consuming() as pool:
        await pool.submit("dead", 1, Lane.SINGLE)
        await pool.settled()
        [entry] = pool.broker.lanes[Lane.SINGLE].values()
        pool.consumer.lose(pool.consumer.deliveries)
        entry.owner, entry.leased_at = "dead", 0.0
        pool.consumer._broker._held.clear()  # type: ignore[attr-defined]
        await pool.submit("new", 20, Lane.SINGLE)
        await until(lambda: pool.started.count("dead0") == 2, "it is taken over")

        assert "new19" not in pool.started
