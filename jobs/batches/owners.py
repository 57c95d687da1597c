"""Who has which batches, and how many more one may have.

Lives on one Redis, whichever the batches themselves are on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobs import keys
from jobs.batches.agenda import Agenda
from jobs.connect import redis_errors
from jobs.errors import TooManyBatches
from jobs.keys import Keys
from jobs.scripts import Script

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

    from jobs.connect import Connections
    from jobs.settings import BrokerSettings


MANY: Final = 200
"""Open batches that are looked at at once."""


class Owners:
    """Indexes of batches: an owner's open ones, an owner's latest, everybody's open ones."""

    def __init__(self, connections: Connections, settings: BrokerSettings) -> None:
        self._redis = connections.commands
        self._settings = settings
        self._keys = Keys(settings.prefix)
        self._reserve = Script("batch_reserve")
        self.webhooks = Agenda(connections, self._keys.batches_owed)
        """Batches whose webhook is to be delivered."""
        self.archived = Agenda(connections, self._keys.batches_archived)
        """Batches whose blocks in the archive are to be removed."""

    async def reserve(self, owner: str, batch_id: str, items: int) -> int:
        """Count the batch as open, with so many items; gives how many more would fit. Raises TooManyBatches."""
        settings = self._settings
        args: list[str | bytes | int] = [batch_id, items, settings.open_batches, settings.open_items, keys.OWNER_TTL_S]
        with redis_errors():
            word, number = await self._reserve(self._redis, [self._keys.owner_open(owner)], args)
        if word == b"ok":
            return int(number)
        bounds = {b"batches": settings.open_batches, b"items": settings.open_items}
        raise TooManyBatches(what=word.decode(), open_now=number, bound=bounds[word])

    async def reserved(self, owner: str) -> Sequence[str]:
        """Ids that count as open; some may have ended, or never have been sent to their end."""
        with redis_errors():
            found: Any = await self._redis.hkeys(self._keys.owner_open(owner))
        return [one.decode() for one in found]

    async def release(self, owner: str, batch_id: str) -> None:
        """Count the batch no more."""
        with redis_errors():
            await self._redis.hdel(self._keys.owner_open(owner), batch_id)

    async def enter(self, owner: str, batch_id: str, created_at: float) -> None:
        """List a batch, among the owner's and among the open ones."""
        mine, everybodys = self._keys.owner_batches(owner), self._keys.batches_open
        with redis_errors():
            async with self._redis.pipeline() as step:
                step.zadd(mine, {batch_id: created_at})
                step.zremrangebyrank(mine, 0, -keys.OWNER_BATCHES - 1)
                step.expire(mine, keys.OWNER_TTL_S)
                step.zadd(everybodys, {f"{owner}:{batch_id}": created_at})
                step.expire(everybodys, keys.OWNER_TTL_S)
                await step.execute()

    async def latest(self, owner: str, *, before: float, count: int) -> Sequence[tuple[str, float]]:
        """Batches created before this time, the newest first, each with its time."""
        with redis_errors():
            found: Any = await self._redis.zrevrangebyscore(
                self._keys.owner_batches(owner), f"({before!r}", "-inf", start=0, num=count, withscores=True
            )
        return [(name.decode(), score) for name, score in found]

    async def forget(self, owner: str, batch_ids: Sequence[str]) -> None:
        """List these no more: they have expired."""
        if batch_ids:
            with redis_errors():
                await self._redis.zrem(self._keys.owner_batches(owner), *batch_ids)

    async def may_keep(self) -> bool:
        """Whether the caller is the one who looks after open batches now."""
        with redis_errors():
            return bool(await self._redis.set(self._keys.batches_keeper, 1, nx=True, px=keys.KEEPER_TTL_MS))

    async def open(self, count: int, *, start: int = 0) -> Sequence[tuple[str, str]]:
        """(owner, batch id) of batches that were open when last looked at, the oldest first."""
        with redis_errors():
            found: Any = await self._redis.zrange(self._keys.batches_open, start, start + count - 1)
        return [_pair(one) for one in found]

    async def close(self, owner: str, batch_id: str) -> None:
        """The batch has ended: it counts no more and need not be looked after."""
        with redis_errors():
            async with self._redis.pipeline() as step:
                step.zrem(self._keys.batches_open, f"{owner}:{batch_id}")
                step.hdel(self._keys.owner_open(owner), batch_id)
                await step.execute()


def _pair(member: bytes) -> tuple[str, str]:
    owner, _, batch_id = member.decode().partition(":")
    return owner, batch_id
