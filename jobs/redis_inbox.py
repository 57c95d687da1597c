"""The replies and outputs for one process: one reader on a stream of its own, many futures.

A reply is never lost on the way: after a reconnect the reader goes on behind the last one that it has read.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from jobs import wire
from jobs.connect import redis_errors
from jobs.errors import WireError
from jobs.keys import Keys
from jobs.replies import Replies, settle
from jobs.scripts import Scripts
from jobs.tail import stop, tail

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

    from jobs.connect import Connections
    from jobs.model import JobResult
    from jobs.settings import BrokerSettings

_TRIM_BYTES = 1 << 20
_ENTRY_BYTES = _TRIM_BYTES // 64  # so that 64 small replies are worth a trim as well


class InboxStream:
    """The stream of one inbox on one Redis; what it brings settles the futures of `replies`."""

    def __init__(self, connections: Connections, settings: BrokerSettings, *, inbox_id: str, replies: Replies) -> None:
        names = Keys(settings.prefix)
        self._connections, self._replies = connections, replies
        self._id, self._stream = inbox_id, names.inbox(inbox_id)
        self._scripts = Scripts(connections.commands, names)
        self._waiters_ttl_s = settings.result_ttl_s

    async def watch(self, job_id: str) -> asyncio.Future[JobResult]:
        """Future of a job that this Redis has; done at once if finished."""
        future = self._replies.expect(job_id)
        try:
            with redis_errors():
                found = await self._scripts.watch(job_id, inbox=self._id, ttl_s=self._waiters_ttl_s)
        except BaseException:
            future.cancel()
            raise
        if found is not None:
            settle(future, _outcome(found))
        return future

    async def read(self) -> None:
        """Pass on whatever comes, for ever."""
        untrimmed_bytes = 0
        async for entries in tail(self._connections, self._stream, start="0"):
            for entry in entries:
                untrimmed_bytes += _ENTRY_BYTES + self._take(entry.fields)
            # Never later than right behind a read: the id might be of data that were wiped since.
            if entries and untrimmed_bytes >= _TRIM_BYTES:
                untrimmed_bytes = 0
                with suppress(RedisError):  # the next one trims this too
                    await self._connections.commands.xtrim(self._stream, minid=entries[-1].id, approximate=False)

    def _take(self, fields: Mapping[bytes, bytes]) -> int:
        """Pass one entry on; gives its size, about."""
        job_id = fields[b"id"].decode()
        if (data := fields.get(b"result")) is not None:
            self._replies.resolve(job_id, _outcome(data))
            return len(data)
        data = fields[b"output"]
        if hear := self._replies.follower(job_id):
            with suppress(WireError):  # of a release to come; the result will have it
                hear(wire.decode_output(data))
        return len(data)


class RedisInbox(Replies):
    """Implements `Inbox`; the reader runs while it is open."""

    def __init__(self, connections: Connections, settings: BrokerSettings) -> None:
        super().__init__()
        self.id = uuid.uuid4().hex
        self._stream = InboxStream(connections, settings, inbox_id=self.id, replies=self)

    async def __aenter__(self) -> Self:
        self._reader = asyncio.create_task(self._stream.read(), name="inbox")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await stop(self._reader)  # what it may have read goes down with the futures
        self.close()

    async def watch(self, job_id: str) -> asyncio.Future[JobResult]:
        """Like `expect`, for an asynchronous job that any process submitted; done at once if finished."""
        return await self._stream.watch(job_id)


def _outcome(data: bytes) -> JobResult | WireError:
    try:
        return wire.decode_result(data)
    except WireError as error:
        return error
