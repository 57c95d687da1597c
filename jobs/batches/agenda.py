"""What is to be done about batches, and when: a sorted set by time. Each entry is taken by one process at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs import keys
from jobs.connect import redis_errors
from jobs.scripts import Script

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobs.connect import Connections


class Agenda:
    """One kind of thing to do. Times are Unix times, seconds."""

    def __init__(self, connections: Connections, key: str) -> None:
        self._redis, self._key = connections.commands, key
        self._due = Script("batch_due")

    async def put(self, name: str, at: float) -> None:
        """Have it done at this time, in place of any time before."""
        with redis_errors():
            async with self._redis.pipeline() as step:
                step.zadd(self._key, {name: at})
                step.expire(self._key, keys.OWNER_TTL_S)
                await step.execute()

    async def due(self, now: float, *, put_off_s: float, most: int) -> Sequence[str]:
        """Names that are due. Nobody else gets them for so long: if we die over one, it is done then."""
        with redis_errors():
            found = await self._due(self._redis, [self._key], [str(now), str(now + put_off_s), most])
        return [name.decode() for name in found]

    async def done(self, name: str) -> None:
        """It is to be done no more."""
        with redis_errors():
            await self._redis.zrem(self._key, name)
