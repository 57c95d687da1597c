# ruff: noqa: D102 (documented once, in the Protocols)
"""The broker in dicts, for tests and demos in one process. Passes the same contract suite as the real one.

Leases, results and notices expire by the clock that it is given; waiting is done in real time.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobs import keys
from jobs.errors import LaneFull
from jobs.model import DEFAULT, Delivery, Finish, JobState, Lane, LaneStats, Submission
from jobs.replies import Replies, settle
from jobs.settings import BrokerSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from jobs.model import Job, JobResult, Output, SharedPart, WorkerInfo


@dataclass(kw_only=True)
class _Entry:
    """A job in its lane."""

    id: str
    job: Job
    added_at: float
    attempt: int = 0
    owner: str | None = None
    leased_at: float = 0.0


@dataclass(kw_only=True)
class _Record:
    """What is known of a submitted job."""

    job: Job
    expires_at: float
    result: JobResult | None = None


class MemoryBroker:
    """Implements `Submitter`, and hands out the other two halves. Of one event loop."""

    def __init__(self, settings: BrokerSettings | None = None, *, clock: Callable[[], float] = time.time) -> None:
        self.settings = settings or BrokerSettings()
        self.clock = clock
        self.lanes: dict[Lane, dict[str, _Entry]] = {lane: {} for lane in Lane}
        self.records: dict[str, _Record] = {}
        self.inboxes: dict[str, MemoryInbox] = {}
        self.waiters: dict[str, set[str]] = {}
        self.parts: dict[str, tuple[float, SharedPart]] = {}
        self.cancels: list[tuple[float, str]] = []
        self.notices: dict[str, tuple[float, WorkerInfo]] = {}
        self.dead: list[tuple[Job, str]] = []
        """Dead-lettered jobs and why."""
        self.known = {DEFAULT}
        """Environments that were ever served or asked for."""
        self._ids = itertools.count(1)
        self._bell = asyncio.Event()

    def inbox(self) -> MemoryInbox:
        """Make an inbox; open it before use."""
        return MemoryInbox(self, f"inbox-{next(self._ids)}")

    def worker(self, name: str) -> MemoryWorkerBroker:
        """Make the working half for a lease holder of that name."""
        return MemoryWorkerBroker(self, name)

    async def submit(self, job: Job) -> Submission:
        if self.record(job.id):
            return Submission.DUPLICATE
        depth = sum(entry.job.environment == job.environment for entry in self.lanes[job.lane].values())
        bound = self.settings.lane_bounds[job.lane]
        if depth >= bound:
            raise LaneFull(lane=job.lane, depth=depth, bound=bound)
        ttl_s = self.settings.result_ttl_s if job.keep_result else keys.SUBMITTED_TTL_S
        self.records[job.id] = _Record(job=job, expires_at=max(self.clock(), job.deadline_at) + ttl_s)
        self.known.add(job.environment)
        self.add(job, attempt=0)
        return Submission.ACCEPTED

    async def cancel(self, job_id: str) -> None:
        self.cancels.append((self.clock(), job_id))
        self.ring()

    async def state(self, job_id: str) -> JobState | None:
        record = self.record(job_id)
        if record is None or not record.job.keep_result:
            return None
        return JobState.DONE if record.result else JobState.QUEUED

    async def result(self, job_id: str) -> JobResult | None:
        record = self.record(job_id)
        return record.result if record else None

    async def share(self, part_id: str, part: SharedPart, *, ttl_s: int) -> None:
        self.parts[part_id] = (self.clock() + ttl_s, part)

    async def unshare(self, part_id: str) -> None:
        self.parts.pop(part_id, None)

    async def workers(self) -> Sequence[WorkerInfo]:
        return [info for _, (until, info) in sorted(self.notices.items()) if until > self.clock()]

    async def environments(self) -> Collection[str]:
        return {name for worker in await self.workers() for name in worker.environments} or self.known

    async def ping(self) -> None:
        pass

    async def unreachable(self) -> Sequence[str]:
        return ()

    async def depth(self, lane: Lane) -> int:
        return len(self.lanes[lane])

    async def dead_letters(self) -> int:
        return len(self.dead)

    async def lane_stats(self) -> Mapping[Lane, LaneStats]:
        return {lane: self._stats(list(entries.values())) for lane, entries in self.lanes.items()}

    def record(self, job_id: str) -> _Record | None:
        """Find the job's record, if it has not expired."""
        record = self.records.get(job_id)
        return record if record and record.expires_at > self.clock() else None

    def add(self, job: Job, *, attempt: int) -> None:
        """Put a job at the end of its lane."""
        entry = _Entry(id=str(next(self._ids)), job=job, added_at=self.clock(), attempt=attempt)
        self.lanes[job.lane][entry.id] = entry
        self.ring()

    def ring(self) -> None:
        """Wake whoever waits for news."""
        self._bell.set()
        self._bell = asyncio.Event()

    async def news(self, wait_s: float | None) -> bool:
        """Wait for a ring; False if there was none in time."""
        try:
            await asyncio.wait_for(self._bell.wait(), wait_s)
        except TimeoutError:
            return False
        return True

    def reply(self, job: Job, result: JobResult) -> None:
        """Keep the result if asked to, and tell who waits."""
        to = {job.reply_to} if job.reply_to else set()
        if job.keep_result:
            expires_at = self.clock() + self.settings.result_ttl_s
            self.records[job.id] = _Record(job=job, expires_at=expires_at, result=result)
            to |= self.waiters.pop(job.id, set())
        for inbox in to & self.inboxes.keys():
            self.inboxes[inbox].resolve(job.id, result)

    def _stats(self, entries: Sequence[_Entry]) -> LaneStats:
        waiting = [entry.added_at for entry in entries if entry.owner is None]
        oldest_s = self.clock() - min(waiting) if waiting else 0.0
        return LaneStats(waiting=len(waiting), running=len(entries) - len(waiting), oldest_s=oldest_s)


class MemoryInbox(Replies):
    """Implements `Inbox`."""

    def __init__(self, broker: MemoryBroker, name: str) -> None:
        super().__init__()
        self.id = name
        self._broker = broker

    async def __aenter__(self) -> Self:
        self._broker.inboxes[self.id] = self
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del self._broker.inboxes[self.id]
        self.close()

    async def watch(self, job_id: str) -> asyncio.Future[JobResult]:
        future = self.expect(job_id)
        if found := await self._broker.result(job_id):
            settle(future, found)
        else:
            self._broker.waiters.setdefault(job_id, set()).add(self.id)
        return future


class MemoryWorkerBroker:
    """Implements `WorkerBroker`."""

    def __init__(self, broker: MemoryBroker, name: str) -> None:
        self._broker, self._name = broker, name
        self._held: set[str] = set()
        self._environments = [DEFAULT]
        self.ping, self.unreachable = broker.ping, broker.unreachable
        self.depth, self.lane_stats, self.dead_letters = broker.depth, broker.lane_stats, broker.dead_letters

    def serve(self, environments: Collection[str]) -> None:
        self._environments = list(environments)

    async def lease(self, *, single: int, batch: int, wait_s: float) -> Sequence[Delivery]:
        until = time.monotonic() + wait_s
        while True:
            taken = self._take(Lane.SINGLE, single)
            taken += self._take(Lane.BATCH, min(batch, max(single, batch) - len(taken)))
            if taken or not await self._broker.news(max(0.0, until - time.monotonic())):
                return taken

    async def renew(self, deliveries: Collection[Delivery]) -> Collection[Delivery]:
        lost = []
        for delivery in deliveries:
            if entry := self._mine(delivery):
                entry.leased_at = self._broker.clock()
            else:
                lost.append(delivery)
                self._held.discard(delivery.entry_id)
        return lost

    async def reclaim(self, *, limit: int) -> Sequence[Delivery]:
        expired_at = self._broker.clock() - self._broker.settings.lease_s
        entries = [entry for lane in self._broker.lanes.values() for entry in lane.values()]
        expired = [entry for entry in entries if entry.owner is not None and entry.leased_at <= expired_at]
        for entry in [entry for entry in expired if entry.id in self._held]:
            entry.leased_at = self._broker.clock()
        ours = [entry for entry in expired if entry.job.environment in self._environments]
        orphans = [entry for entry in ours if entry.id not in self._held]
        served = {*await self._broker.environments(), *self._environments}
        unserved = [entry for entry in entries if entry.job.environment not in served]
        free = [entry for entry in unserved if entry.owner is None or entry in expired]
        stranded = [entry for entry in free if entry.job.deadline_at <= self._broker.clock()]
        return [self._deliver(entry) for entry in (orphans + stranded)[:limit]]

    async def shared(self, part_id: str) -> SharedPart | None:
        until, part = self._broker.parts.get(part_id, (0.0, None))
        return part if until > self._broker.clock() else None

    async def emit(self, delivery: Delivery, output: Output) -> None:
        inbox = self._broker.inboxes.get(delivery.job.reply_to or "")
        if inbox and (hear := inbox.follower(delivery.job.id)):
            hear(output)

    async def finish(self, delivery: Delivery, result: JobResult) -> Finish:
        self._held.discard(delivery.entry_id)
        if not self._mine(delivery):
            return Finish.STALE
        del self._broker.lanes[delivery.lane][delivery.entry_id]
        self._broker.reply(delivery.job, result)
        return Finish.RECORDED

    async def release(self, delivery: Delivery) -> None:
        self._held.discard(delivery.entry_id)
        if self._mine(delivery):
            del self._broker.lanes[delivery.lane][delivery.entry_id]
            self._broker.add(delivery.job, attempt=delivery.attempt - 1)

    async def dead_letter(self, delivery: Delivery, result: JobResult) -> Finish:
        finish = await self.finish(delivery, result)
        if finish is Finish.RECORDED:
            self._broker.dead.append((delivery.job, result.message or result.reason or result.status))
        return finish

    async def cancellations(self) -> AsyncIterator[str]:
        since = self._broker.clock() - keys.CANCEL_WINDOW_S
        seen = sum(at < since for at, _ in self._broker.cancels)
        while True:
            for _, job_id in self._broker.cancels[seen:]:
                seen += 1
                yield job_id
            if seen == len(self._broker.cancels):
                await self._broker.news(None)

    async def announce(self, worker: WorkerInfo) -> None:
        self._broker.known.update(worker.environments)
        self._broker.notices[worker.id] = (self._broker.clock() + keys.WORKER_TTL_S, worker)

    def _take(self, lane: Lane, count: int) -> list[Delivery]:
        self._environments = [*self._environments[1:], *self._environments[:1]]  # they take turns
        waiting = [entry for entry in self._broker.lanes[lane].values() if entry.owner is None]
        ours = [e for name in self._environments for e in waiting if e.job.environment == name]
        return [self._deliver(entry) for entry in ours[:count]]

    def _deliver(self, entry: _Entry) -> Delivery:
        entry.owner, entry.leased_at = self._name, self._broker.clock()
        entry.attempt += 1
        self._held.add(entry.id)
        return Delivery(job=entry.job, lane=entry.job.lane, entry_id=entry.id, attempt=entry.attempt)

    def _mine(self, delivery: Delivery) -> _Entry | None:
        entry = self._broker.lanes[delivery.lane].get(delivery.entry_id)
        return entry if entry and entry.owner == self._name else None
