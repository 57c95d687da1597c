"""The replies of one process: one reader on a stream of its own, many futures.

A reply is never lost on the way: after a reconnect the reader goes on behind the last one that it has read.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from jobs import wire
from jobs.connect import redis_errors
from jobs.errors import WireError
from jobs.keys import Keys
from jobs.scripts import Scripts
from jobs.tail import tail

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from jobs.connect import Connections
    from jobs.model import JobResult
    from jobs.settings import BrokerSettings
    from jobs.tail import Entry

_TRIM_EVERY = 64


class RedisInbox:
    """An async context manager; the reader runs while it is open."""

    def __init__(self, connections: Connections, settings: BrokerSettings) -> None:
        self.id = uuid.uuid4().hex
        self.late_replies = 0
        """Replies that nobody waited for any more."""
        self._connections = connections
        names = Keys(settings.prefix)
        self._stream = names.inbox(self.id)
        self._scripts = Scripts(connections.commands, names)
        self._waiters_ttl_s = settings.result_ttl_s
        self._waiting: dict[str, list[asyncio.Future[JobResult]]] = {}
        self._untrimmed = 0

    async def __aenter__(self) -> Self:
        self._reader = asyncio.create_task(self._read(), name="inbox")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.cancel()  # what it may have read goes down with the futures
        with suppress(asyncio.CancelledError):
            await self._reader
        for future in [future for futures in self._waiting.values() for future in futures]:
            future.cancel()

    def expect(self, job_id: str) -> asyncio.Future[JobResult]:
        """Future of the job's result; register it *before* submitting. Cancelling it forgets it."""
        future: asyncio.Future[JobResult] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(job_id, []).append(future)
        future.add_done_callback(partial(self._forget, job_id))
        return future

    async def watch(self, job_id: str) -> asyncio.Future[JobResult]:
        """Like `expect`, for an asynchronous job that any process submitted; done at once if finished."""
        future = self.expect(job_id)
        try:
            with redis_errors():
                found = await self._scripts.watch(job_id, inbox=self.id, ttl_s=self._waiters_ttl_s)
        except BaseException:
            future.cancel()
            raise
        if found is not None and not future.done():
            _settle(future, found)
        return future

    async def _read(self) -> None:
        last = "0"
        async for entries in tail(self._connections, self._stream, start="0"):
            for entry in entries:
                self._resolve(entry)
            self._untrimmed += len(entries)
            if entries:
                last = entries[-1].id
            if self._untrimmed >= _TRIM_EVERY or (self._untrimmed and not entries):
                await self._trim(last)

    def _resolve(self, entry: Entry) -> None:
        futures = self._waiting.pop(entry.fields[b"id"].decode(), None)
        if futures is None:
            self.late_replies += 1
            return
        for future in futures:
            if not future.done():
                _settle(future, entry.fields[b"result"])

    async def _trim(self, last: str) -> None:
        self._untrimmed = 0
        with suppress(RedisError):  # the next one trims this too
            await self._connections.commands.xtrim(self._stream, minid=last, approximate=False)

    def _forget(self, job_id: str, future: asyncio.Future[JobResult]) -> None:
        futures = self._waiting.get(job_id, [])
        if future in futures:
            futures.remove(future)
            if not futures:
                del self._waiting[job_id]


def _settle(future: asyncio.Future[JobResult], data: bytes) -> None:
    try:
        future.set_result(wire.decode_result(data))
    except WireError as error:
        future.set_exception(error)
