"""The broker: moves jobs from submitters to workers and results back.

Three implementations pass one contract suite: on one Redis (`redis_submitter`, `redis_worker`), on several
(`shards`, `shard_worker`), and `MemoryBroker` (unit tests).

At least once, one visible result: a job is leased, its lease renewed while it runs; a lease that is not
renewed for `lease_s` is taken over by `reclaim`. Only the present owner's `finish` counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from jobs.model import (
        Delivery,
        Finish,
        Job,
        JobResult,
        JobState,
        Lane,
        LaneStats,
        Output,
        SharedPart,
        Submission,
        WorkerInfo,
    )


class Gauges(Protocol):
    """What both halves can ask about the queue, for readiness and metrics."""

    async def ping(self) -> None:
        """Raise BrokerUnavailable unless the broker answers."""

    async def unreachable(self) -> Sequence[str]:
        """Name the Redis servers that do not answer while others do; raises BrokerUnavailable if none does."""

    async def lane_stats(self) -> Mapping[Lane, LaneStats]:
        """Every lane at this moment."""

    async def depth(self, lane: Lane) -> int:
        """Jobs in the lane, of all environments: waiting and running."""

    async def dead_letters(self) -> int:
        """Jobs in the dead-letter stream."""


class Submitter(Gauges, Protocol):
    """The half that api processes use."""

    async def submit(self, job: Job) -> Submission:
        """Queue a job. Idempotent by `job.id`. Raises LaneFull, BrokerUnavailable."""

    async def cancel(self, job_id: str) -> None:
        """Tell every worker to drop or kill the job. Returns at once; unknown ids are ignored."""

    async def state(self, job_id: str) -> JobState | None:
        """State of an asynchronous job; None if it is unknown or its result expired."""

    async def result(self, job_id: str) -> JobResult | None:
        """Give the result of an asynchronous job; None if there is none (yet, or any more)."""

    async def share(self, part_id: str, part: SharedPart, *, ttl_s: int) -> None:
        """Store what jobs with `shared=part_id` have in common; before they are submitted. Raises BrokerUnavailable."""

    async def unshare(self, part_id: str) -> None:
        """Drop a shared part: its jobs are done, or nobody wants them. Unknown ids are ignored."""

    async def workers(self) -> Sequence[WorkerInfo]:
        """Workers that announced themselves within the last 5 s, by id."""

    async def environments(self) -> Collection[str]:
        """Environments that can be asked for: those of live workers; while none lives, all that were ever served."""


class Inbox(Protocol):
    """Where one api process gets its replies: one reader, many futures. An async context manager."""

    id: str

    def expect(self, job_id: str) -> asyncio.Future[JobResult]:
        """Future of the job's result; register it *before* submitting. Cancelling it forgets it."""

    def follow(self, job_id: str, hear: Callable[[Output], None]) -> asyncio.Future[JobResult]:
        """Like `expect`; until the future is done, `hear` gets the output of a job with `stream`, in order.

        All of it comes before the result; what got lost on the way the result has.
        """

    async def watch(self, job_id: str) -> asyncio.Future[JobResult]:
        """Like `expect`, for an asynchronous job that any process submitted; done at once if finished."""


class OpenableInbox(Inbox, Protocol):
    """An inbox that reads while it is open."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


class WorkerBroker(Gauges, Protocol):
    """The half that workers use. Its lease holder's name must be of this process alone."""

    def serve(self, environments: Collection[str]) -> None:
        """Lease and reclaim jobs of these environments from now on; of `default` alone until this is called."""

    async def lease(self, *, single: int, batch: int, wait_s: float) -> Sequence[Delivery]:
        """Lease up to `single` jobs of the single lanes, then up to `batch` of the batch lanes.

        No environment goes first: their lanes take turns.

        The two bounds overlap: at most `max(single, batch)` jobs in all, so pass the free slots as `single`
        and those that batches may take as `batch`. Waits up to `wait_s` if there is none. Never cancel this
        call: let it return. May return more than asked for: what it waited for is one job per lane, and on several
        Redis one per lane and Redis.
        """

    async def renew(self, deliveries: Collection[Delivery]) -> Collection[Delivery]:
        """Renew leases; returns the deliveries that are no longer ours (stop working on them)."""

    async def reclaim(self, *, limit: int) -> Sequence[Delivery]:
        """Take over jobs whose leases ran out. An attempt over the maximum is to be dead-lettered.

        Also jobs past their deadline that wait for an environment which no live worker serves: somebody has to answer.

        A job that this very broker still holds is not returned: its lease is renewed instead.
        """

    async def shared(self, part_id: str) -> SharedPart | None:
        """Give a shared part; None if it has expired or was dropped. Raises BrokerUnavailable, WireError."""

    async def emit(self, delivery: Delivery, output: Output) -> None:
        """Show who waits what the program wrote, before `finish`. Dropped if nobody reads; owners are not asked.

        Raises BrokerUnavailable, WireError.
        """

    async def finish(self, delivery: Delivery, result: JobResult) -> Finish:
        """Record the result, tell who waits, drop the job from its lane: one atomic, owner-checked step."""

    async def release(self, delivery: Delivery) -> None:
        """Give a job back unstarted: at once available to others, its attempt not counted."""

    async def dead_letter(self, delivery: Delivery, result: JobResult) -> Finish:
        """`finish`, and park the job in the dead-letter stream with the result's message."""

    def cancellations(self) -> AsyncIterator[str]:
        """Ids of cancelled jobs and batches, from a little before now on, for ever."""

    async def announce(self, worker: WorkerInfo) -> None:
        """Say that the worker lives and is ready, for 5 s."""
