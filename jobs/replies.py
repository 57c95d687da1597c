"""Futures of the replies that one process waits for, and who follows output: what every inbox has inside."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobs.errors import WireError
    from jobs.model import JobResult, Output


class Replies:
    """Any number of futures per job. Of its event loop alone."""

    def __init__(self) -> None:
        self.late_replies = 0
        """Replies that nobody waited for any more."""
        self._waiting: dict[str, list[asyncio.Future[JobResult]]] = {}
        self._followers: dict[str, Callable[[Output], None]] = {}

    def expect(self, job_id: str) -> asyncio.Future[JobResult]:
        """Future of the job's result; register it *before* submitting. Cancelling it forgets it."""
        future: asyncio.Future[JobResult] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(job_id, []).append(future)
        future.add_done_callback(partial(self._forget, job_id))
        return future

    def follow(self, job_id: str, hear: Callable[[Output], None]) -> asyncio.Future[JobResult]:
        """Like `expect`; `hear` gets the job's output until the future is done. One follower per job."""
        future = self.expect(job_id)
        self._followers[job_id] = hear
        future.add_done_callback(lambda _: self._followers.pop(job_id, None))
        return future

    def follower(self, job_id: str) -> Callable[[Output], None] | None:
        """Who wants the job's output, if anybody does."""
        return self._followers.get(job_id)

    def resolve(self, job_id: str, outcome: JobResult | WireError) -> None:
        """Settle every future of the job."""
        futures = [future for future in self._waiting.pop(job_id, ()) if not future.done()]
        if not futures:
            self.late_replies += 1
        for future in futures:
            settle(future, outcome)

    def close(self) -> None:
        """Cancel what is still waited for."""
        for future in [future for futures in self._waiting.values() for future in futures]:
            future.cancel()

    def _forget(self, job_id: str, future: asyncio.Future[JobResult]) -> None:
        futures = self._waiting.get(job_id, [])
        if future in futures:
            futures.remove(future)
            if not futures:
                del self._waiting[job_id]


def settle(future: asyncio.Future[JobResult], outcome: JobResult | WireError) -> None:
    """Settle one future, unless it was cancelled."""
    if future.done():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
