"""Leases what fits, starts it, finishes it. One task per running job; the loops around it are in `leases`."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jobs import tail
from jobs.errors import BrokerUnavailable
from jobs.model import Finish, Lane, Reason
from sandbox import YOUNG_S
from worker.runner import fail
from worker.translate import Began

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
_LOOK_S = 1.5
"""For jobs of the dead, where new ones leave no slot free when `leases` looks."""
_CANCELLED_KEPT = 10_000
_BIG_BYTES = 128 << 10
"""Results of more go out one by one: a small one, which comes between, is not to wait behind many of them."""


@dataclass(slots=True, kw_only=True, eq=False)
class Running:
    """A job in a slot."""

    delivery: Delivery
    task: asyncio.Task[None] = field(init=False)
    started_at: float = field(default_factory=time.monotonic)
    lost: bool = False
    """Its lease went to somebody else: drop the result."""
    can_stop: bool = False
    """It can be cancelled. Before its task's first step nothing of it would run, so that its slot and its lease would
    stay for ever; once it has its result, which is being recorded, that would be lost."""
    big: bool = False
    """It has a big result: while that waits for others to go out, another program may start."""
    parked: bool = False
    """Its Redis is away, and nothing else is left to do: it takes no slot from jobs of another."""

    def stop(self) -> None:
        """Kill the program, if it runs."""
        if self.can_stop:
            self.task.cancel()


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
        self._big: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        """By shard: one that does not answer must not keep the results for another waiting."""
        self._running: set[Running] = set()
        self._cancelled: dict[str, None] = {}
        self._room = {lane: asyncio.Event() for lane in Lane}
        self._looked_at = time.monotonic()
        self.draining = False
        self._settle()

    @property
    def free(self) -> int:
        """Jobs that may start now."""
        return self._free(Lane.SINGLE, self._young())

    @property
    def deliveries(self) -> Collection[Delivery]:
        """What this worker holds leases of."""
        return [running.delivery for running in self._running]

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
                if time.monotonic() - self._looked_at > _LOOK_S:
                    await self.take_over()
                    continue
                leased = await self._broker.lease(
                    single=counts.get(Lane.SINGLE, 0), batch=counts.get(Lane.BATCH, 0), wait_s=_WAIT_S
                )
            except BrokerUnavailable:
                await asyncio.sleep(_PAUSE_S)
                continue
            self.start(leased)

    async def take_over(self) -> None:
        """Run what the dead left, as much as there are free slots. Before new work: under load it would wait for ever.

        Raises BrokerUnavailable.
        """
        if self.free and not self.draining:
            self._looked_at = time.monotonic()
            self.start(await self._broker.reclaim(limit=self.free))

    def start(self, deliveries: Iterable[Delivery]) -> None:
        """Run leased jobs."""
        loop = asyncio.get_running_loop()
        for delivery in deliveries:
            running = Running(delivery=delivery)
            running.task = loop.create_task(self._work(running))
            self._running.add(running)
            self._metrics.leased(delivery)
            loop.call_later(YOUNG_S, self._settle)
        self._settle()

    def cancel(self, cancelled: str) -> None:
        """Kill what runs here of a job or batch; remember the id in case more comes."""
        self._cancelled[cancelled] = None
        if len(self._cancelled) > _CANCELLED_KEPT:
            del self._cancelled[next(iter(self._cancelled))]
        for running in self._running:
            if cancelled in (running.delivery.job.id, running.delivery.job.batch):
                running.stop()

    def lose(self, deliveries: Iterable[Delivery]) -> None:
        """Stop working on jobs that somebody else has by now."""
        lost = {delivery.key for delivery in deliveries}
        for running in self._running:
            if running.delivery.key in lost:
                running.lost = True
                running.stop()

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
        if tasks := [running.task for running in self._running]:
            await asyncio.wait(tasks, timeout=max(0.0, give_up_at - time.monotonic()))
        giving_back = asyncio.create_task(self._give_back())
        await asyncio.wait({giving_back}, timeout=_GIVE_BACK_S)
        await tail.stop(giving_back)

    def _young(self) -> Counter[Lane]:
        grown_by = time.monotonic() - YOUNG_S
        return Counter(one.delivery.lane for one in self._running if one.started_at > grown_by and not one.big)

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
        return sum(not running.parked for running in self._running)

    async def _give_back(self) -> None:
        unfinished = list(self._running)
        for running in unfinished:
            running.lost = True
            await tail.stop(running.task)
        with suppress(BrokerUnavailable):
            for running in unfinished:
                await self._broker.release(running.delivery)

    async def _work(self, running: Running) -> None:
        try:
            running.can_stop = True
            began = Began()
            result = await self._result(running, began)
            running.can_stop = False
            if result is not None:
                await self._finish(running, result)
        finally:
            self._running.discard(running)
            self._settle()

    async def _result(self, running: Running, began: Began) -> JobResult | None:
        delivery = running.delivery
        try:
            if running.lost:
                return None
            if delivery.job.id in self._cancelled or delivery.job.batch in self._cancelled:
                return fail(delivery, Reason.CALLER, "cancelled before it ran", began)
            if self._runner.is_poison(delivery):
                return self._runner.poisoned(delivery)
            return await self._runner.run(delivery)
        except asyncio.CancelledError:
            if running.lost:
                return None
            return fail(delivery, Reason.CALLER, "cancelled while it ran", began)
        except Exception:
            # A bug of ours. The caller hears it now: more attempts would meet it again.
            log.exception("job failed", extra={"event": "job_failed", "job_id": delivery.job.id})
            return fail(delivery, Reason.SANDBOX, "the worker failed under this job", began)

    async def _finish(self, running: Running, result: JobResult) -> None:
        """Record the result, however long Redis is away: the lease tells whether it still counts."""
        while not running.lost:
            try:
                finish = await self._recorded(running, result)
            except BrokerUnavailable:
                self._park(running)
                await asyncio.sleep(_PAUSE_S)
                continue
            except Exception:
                # A bug of ours, which would meet the next attempt too.
                log.exception("result not recorded", extra={"event": "job_failed", "job_id": running.delivery.job.id})
                if result.reason is Reason.SANDBOX:
                    return  # nor was this: it is dead-lettered after some attempts
                result = fail(running.delivery, Reason.SANDBOX, "the worker failed under this job", Began())
                continue
            self._metrics.finished(running.delivery, result, stale=finish is Finish.STALE)
            return

    async def _recorded(self, running: Running, result: JobResult) -> Finish:
        record = self._broker.dead_letter if result.reason is Reason.ATTEMPTS else self._broker.finish
        # Whose Redis is away must not keep those of another waiting.
        if _size(result) <= _BIG_BYTES or running.parked:
            return await record(running.delivery, result)
        running.big = True
        self._settle()
        async with self._big[running.delivery.shard]:
            return await record(running.delivery, result)

    def _park(self, running: Running) -> None:
        """Take no slot with it, nor with what waits behind it for the same Redis."""
        running.parked = True
        for other in self._running:
            if other.big and other.delivery.shard == running.delivery.shard:
                other.parked = True
        self._settle()

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
