"""Follow one stream for ever, through restarts of Redis and wiped data.

XREAD takes nothing away, so an interrupted read is simply done again behind the last entry seen.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from redis.exceptions import RedisError, ResponseError, TimeoutError  # noqa: A004  redis-py's own

from jobs.connect import MAX_BLOCK_S
from jobs.portion import Portion

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from typing import Any

    from jobs.connect import Client, Connections

_COUNT = 256
_PAUSE_S = 0.2  # between tries while Redis is away
_BEGINNING = "0"


class Entry(NamedTuple):
    """One stream entry."""

    id: str
    fields: dict[bytes, bytes]


async def tail(connections: Connections, stream: str, *, start: str) -> AsyncIterator[Sequence[Entry]]:
    """Entries behind the id `start`, in order; an empty sequence every few seconds without any."""
    seen: str | None = None
    entries: list[Entry] = []
    portion, looked = Portion(_COUNT), False
    while True:
        try:
            if looked and not entries:
                start, seen = await _read_from(connections, stream, start, seen)
            looked = True
            entries = await _read(connections.reads, stream, seen or start, portion)
        except RedisError as error:
            if isinstance(error, TimeoutError):
                portion.lost()
            entries = []
            await asyncio.sleep(_PAUSE_S)
        if entries:
            seen = entries[-1].id
        yield entries


async def stop(reader: asyncio.Task[None]) -> None:
    """Cancel a task that reads Redis, until it has ended. Once may not be enough.

    redis-py uses `wait_for`, which until Python 3.12 swallows a cancel that comes as it is just done.
    """
    while not reader.done():
        reader.cancel()
        await asyncio.wait([reader], timeout=0.05)


async def _read(client: Client, stream: str, last: str, portion: Portion) -> list[Entry]:
    reply: Any = await client.xread({stream: last}, count=portion.count, block=int(MAX_BLOCK_S * 1000))
    entries = [Entry(entry_id.decode(), fields) for entry_id, fields in reply.get(stream.encode(), ())]
    portion.came(len(entries), sum(len(value) for entry in entries for value in entry.fields.values()))
    return entries


async def _read_from(connections: Connections, stream: str, start: str, seen: str | None) -> tuple[str, str | None]:
    """Where to go on after a read that has brought nothing."""
    last = await _last_id(connections.commands, stream)
    if seen and (last is None or _order(last) < _order(seen)):
        # It cannot have held the id: wiped or expired, and its clock may be behind by now.
        return _BEGINNING, None
    if last and _order(last) > _order(seen or start):
        # There is more, and it was not read: reads still go to a server that was the master once.
        await connections.reads.connection_pool.disconnect(inuse_connections=False)
    return start, seen


async def _last_id(client: Client, stream: str) -> str | None:
    """Of the newest entry that the stream has ever had; None without it."""
    try:
        info = await client.xinfo_stream(stream)
    except ResponseError:  # no such key
        return None
    last: str = info["last-generated-id"].decode()
    return last


def _order(entry_id: str) -> tuple[int, int]:
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence or 0)
