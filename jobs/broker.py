"""The broker: moves jobs from submitters to workers and results back.

Two implementations pass one contract suite: `RedisBroker` (the real one) and `MemoryBroker` (unit tests).

At least once, one visible result: a job is leased, its lease renewed while it runs; a lease that is not
renewed for `lease_s` is taken over by `reclaim`. Only the present owner's `finish` counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Collection, Sequence

    from jobs.model import Delivery, Finish, Job, JobResult, JobState, Lane, Submission


class Submitter(Protocol):
    """The half that api processes use."""

    async def submit(self, job: Job) -> Submission:
        """Queue a job. Idempotent by `job.id`. Raises LaneFull, BrokerUnavailable."""

    async def cancel(self, job_id: str) -> None:
        """Tell every worker to drop or kill the job. Returns at once; unknown ids are ignored."""

    async def state(self, job_id: str) -> JobState | None:
        """State of an asynchronous job; None if it is unknown or its result expired."""

    async def result(self, job_id: str) -> JobResult | None:
        """Stored result of an asynchronous job."""


class Inbox(Protocol):
    """Where one api process gets its replies: one reader, many futures. An async context manager."""

    id: str

    def expect(self, job_id: str) -> asyncio.Future[JobResult]:
        """Future of the job's result; register it *before* submitting. Cancelling it forgets it."""

    async def watch(self, job_id: str) -> asyncio.Future[JobResult]:
        """Like `expect`, for an asynchronous job that any process submitted; done at once if finished."""


class WorkerBroker(Protocol):
    """The half that workers use. `worker` names the lease holder."""

    async def lease(self, *, single: int, batch: int, wait_s: float) -> Sequence[Delivery]:
        """Lease up to `single` jobs of the single lane, then up to `batch` of the batch lane.

        Waits up to `wait_s` if there is none. Never cancel this call: let it return.
        May return one job more than asked for (a blocking read takes one entry per stream).
        """

    async def renew(self, deliveries: Collection[Delivery]) -> Collection[Delivery]:
        """Renew leases; returns the deliveries that are no longer ours (stop working on them)."""

    async def reclaim(self, *, limit: int) -> Sequence[Delivery]:
        """Take over jobs whose leases ran out. An attempt over the maximum is to be dead-lettered."""

    async def finish(self, delivery: Delivery, result: JobResult) -> Finish:
        """Record the result, tell who waits, drop the job from its lane: one atomic, owner-checked step."""

    async def release(self, delivery: Delivery) -> None:
        """Give a job back unstarted: at once available to others, its attempt not counted."""

    async def dead_letter(self, delivery: Delivery, result: JobResult) -> Finish:
        """`finish`, and park the job in the dead-letter stream with the result's message."""

    def cancellations(self) -> AsyncIterator[str]:
        """Ids of cancelled jobs, from a little before now on, for ever."""

    async def depth(self, lane: Lane) -> int:
        """Jobs in the lane: waiting and running."""
