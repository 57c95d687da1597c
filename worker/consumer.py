"""Leases what fits, starts it, finishes it. One task per running job; the loops around it are in `leases`."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jobs import tail
from jobs.errors import BrokerUnavailable
from jobs.model import Finish, Lane, Reason
from worker.runner import fail

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from jobs.broker import WorkerBroker
    from jobs.model import Delivery, JobResult
    from worker.metrics import WorkerMetrics
    from worker.runner import Runner

log = logging.getLogger(__name__)
_WAIT_S = 1.0
_LAST_LEASE_S = 3.0  # a lease waits for less, unless Redis is away
_GIVE_BACK_S = 3.0
_PAUSE_S = 0.2
_CANCELLED_KEPT = 10_000
_YOUNG_S = 0.1
_BIG_BYTES = 128 << 10
"""Results of more go out one by one: a small one, which comes between, is not to wait behind many of them."""


@dataclass(slots=True, kw_only=True, eq=False)
class Running:
    """A job in a slot."""

    delivery: Delivery
    task: asyncio.Task[None]
    started_at: float = field(default_factory=time.monotonic)
    lost: bool = False
    """Its lease went to somebody else: drop the result."""
    parked: bool = False
    """It has run, and only its Redis is away: it takes no slot from jobs of another."""


class Consumer:
    """The slots of one worker. `leases` renews and reclaims for it.

    Short programs are fastest a few at a time (as many as keep the processors busy); long ones must not be what
    short ones wait for. So at most `starts` jobs are younger than 100 ms (and one more, if only batches' are), and at
    most `slots` run in all.
    """

    def __init__(
        self, broker: WorkerBroker, runner: Runner, metrics: WorkerMetrics, *, slots: int, starts: int
    ) -> None:
        self._broker, self._runner, self._metrics = broker, runner, metrics
        self._slots, self._starts = slots, starts
        self._big = asyncio.Lock()
        self._running: dict[object, Running] = {}
        """By `Delivery.key`."""
        self._cancelled: dict[str, None] = {}
        self._room = {lane: asyncio.Event() for lane in Lane}
        self.draining = False
        self._settle()

    @property
    def free(self) -> int:
        """Jobs that may start now."""
        return self._free(Lane.SINGLE, self._young())

    @property
    def deliveries(self) -> Collection[Delivery]:
        """What this worker holds leases of."""
        return [running.delivery for running in self._running.values()]

    async def consume(self) -> None:
        """Lease and start jobs until `draining`.

        Each lane is waited on by itself: a wait for the one must not outlast the moment at which there is room for
        the other.
        """
        async with asyncio.TaskGroup() as group:
            for lane, room in self._room.items():
                group.create_task(self._consume(lane, room))

    async def _consume(self, lane: Lane, room: asyncio.Event) -> None:
        while True:
            await room.wait()
            if self.draining:
                return
            counts = {lane: self._free(lane, self._young())}
            try:
                leased = await self._broker.lease(
                    single=counts.get(Lane.SINGLE, 0), batch=counts.get(Lane.BATCH, 0), wait_s=_WAIT_S
                )
            except BrokerUnavailable:
                await asyncio.sleep(_PAUSE_S)
                continue
            self.start(leased)

    def start(self, deliveries: Iterable[Delivery]) -> None:
        """Run leased jobs."""
        loop = asyncio.get_running_loop()
        for delivery in deliveries:
            task = loop.create_task(self._work(delivery))
            self._running[delivery.key] = Running(delivery=delivery, task=task)
            self._metrics.leased(delivery)
            loop.call_later(_YOUNG_S, self._settle)
        self._settle()

    def cancel(self, cancelled: str) -> None:
        """Kill what runs here of a job or batch; remember the id in case more comes."""
        self._cancelled[cancelled] = None
        if len(self._cancelled) > _CANCELLED_KEPT:
            del self._cancelled[next(iter(self._cancelled))]
        for running in self._running.values():
            if cancelled in (running.delivery.job.id, running.delivery.job.batch):
                running.task.cancel()

    def lose(self, deliveries: Iterable[Delivery]) -> None:
        """Stop working on jobs that somebody else has by now."""
        for delivery in deliveries:
            running = self._running.get(delivery.key)
            if running is not None:
                running.lost = True
                running.task.cancel()

    async def drain(self, consuming: asyncio.Task[None], patience_s: float) -> None:
        """Lease no more; let what runs finish; give back what does not within `patience_s`.

        Bounded also while Redis is away: what cannot be given back is reclaimed when its lease runs out.
        """
        give_up_at = time.monotonic() + patience_s
        self.draining = True
        self._metrics.draining()
        self._settle()
        # What the last lease brings in while it ends is part of the drain.
        await asyncio.wait({consuming}, timeout=_LAST_LEASE_S)
        await tail.stop(consuming)
        if tasks := [running.task for running in self._running.values()]:
            await asyncio.wait(tasks, timeout=max(0.0, give_up_at - time.monotonic()))
        giving_back = asyncio.create_task(self._give_back())
        await asyncio.wait({giving_back}, timeout=_GIVE_BACK_S)
        await tail.stop(giving_back)

    def _young(self) -> Counter[Lane]:
        grown_by = time.monotonic() - _YOUNG_S
        return Counter(one.delivery.lane for one in self._running.values() if one.started_at > grown_by)

    def _free(self, lane: Lane, young: Counter[Lane]) -> int:
        """Jobs of the lane that may start now.

        One slot, and one start beyond the bound, are for who waits for an answer, however full of batches it is.
        """
        slots, starts = self._slots - self._busy(), self._starts - young.total()
        if lane is Lane.SINGLE:
            starts = max(starts, 1 - young[Lane.SINGLE])
        elif self._slots > 1:
            slots -= 1
        return max(0, min(slots, starts))

    def _busy(self) -> int:
        return sum(not running.parked for running in self._running.values())

    async def _give_back(self) -> None:
        unfinished = list(self._running.values())
        for running in unfinished:
            running.lost = True
            await tail.stop(running.task)
        with suppress(BrokerUnavailable):
            for running in unfinished:
                await self._broker.release(running.delivery)

    async def _work(self, delivery: Delivery) -> None:
        try:
            result = await self._result(delivery, time.time())
            if result is not None:
                await self._finish(delivery, result)
        finally:
            del self._running[delivery.key]
            self._settle()

    async def _result(self, delivery: Delivery, started_at: float) -> JobResult | None:
        try:
            if delivery.job.id in self._cancelled or delivery.job.batch in self._cancelled:
                return fail(delivery, Reason.CALLER, "cancelled before it ran", started_at)
            if self._runner.is_poison(delivery):
                return self._runner.poisoned(delivery)
            return await self._runner.run(delivery)
        except asyncio.CancelledError:
            if self._running[delivery.key].lost:
                return None
            return fail(delivery, Reason.CALLER, "cancelled while it ran", started_at)
        except Exception:
            # A bug of ours. The caller hears it now: more attempts would meet it again.
            log.exception("job failed", extra={"event": "job_failed", "job_id": delivery.job.id})
            return fail(delivery, Reason.SANDBOX, "the worker failed under this job", started_at)

    async def _finish(self, delivery: Delivery, result: JobResult) -> None:
        """Record the result, however long Redis is away: the lease tells whether it still counts."""
        while not self._running[delivery.key].lost:
            try:
                finish = await self._recorded(delivery, result)
            except BrokerUnavailable:
                self._running[delivery.key].parked = True
                self._settle()
                await asyncio.sleep(_PAUSE_S)
                continue
            self._metrics.finished(delivery, result, stale=finish is Finish.STALE)
            return

    async def _recorded(self, delivery: Delivery, result: JobResult) -> Finish:
        record = self._broker.dead_letter if result.reason is Reason.ATTEMPTS else self._broker.finish
        # Whose Redis is away must not keep those of another waiting.
        if _size(result) <= _BIG_BYTES or self._running[delivery.key].parked:
            return await record(delivery, result)
        async with self._big:
            return await record(delivery, result)

    def _settle(self) -> None:
        young = self._young()
        self._metrics.busy(self._busy(), young=young.total())
        for lane, room in self._room.items():
            _say(room, self.draining or self._free(lane, young) > 0)


def _size(result: JobResult) -> int:
    return sum(map(len, (result.stdout, result.stderr, *result.files.values())))


def _say(event: asyncio.Event, so: bool) -> None:  # noqa: FBT001 (what it is set to)
    if so:
        event.set()
    else:
        event.clear()
