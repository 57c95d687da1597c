"""What a worker leases of which lane, with programs that end when told to."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from jobs.memory_broker import MemoryBroker
from jobs.model import Finish, Job, JobResult, Lane, Status
from worker.consumer import Consumer
from worker.metrics import WorkerMetrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest

    from jobs.model import Delivery

SLOTS, STARTS = 8, 4


class Pool:
    """A broker, a worker's consumer, and programs that run until they are let go."""

    def __init__(self) -> None:
        self.broker = MemoryBroker()
        self.running: dict[str, asyncio.Event] = {}
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
        """What runs when nothing more starts for now (a program is young for 100 ms)."""
        await asyncio.sleep(0.03)
        return set(self.running)


@asynccontextmanager
async def consuming() -> AsyncIterator[Pool]:
    pool = Pool()
    task = asyncio.create_task(pool.consumer.consume())
    yield pool
    for done in pool.running.values():
        done.set()
    await pool.consumer.drain(task, 1)


async def test_a_batch_takes_every_start_and_leaves_one_for_who_waits():
    async with consuming() as pool:
        await pool.submit("batch", 20, Lane.BATCH)
        assert await pool.settled() == {"batch0", "batch1", "batch2", "batch3"}
        await pool.submit("single", 1, Lane.SINGLE)

        assert await pool.settled() == {"batch0", "batch1", "batch2", "batch3", "single0"}


async def test_long_programs_of_a_batch_leave_a_slot_free():
    async with consuming() as pool:
        await pool.submit("batch", 20, Lane.BATCH)
        await asyncio.sleep(0.3)
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
