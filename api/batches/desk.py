"""Everything that the routes of batches need, put together: stores, owners, RQ, and what keeps batches going."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from api.batches.keeper import Keeper
from api.batches.webhooks import Webhooks
from jobs import tail
from jobs.batches.archive import Archive
from jobs.batches.carrier import Carrier
from jobs.batches.model import OPEN, BatchState
from jobs.batches.owners import MANY, Owners
from jobs.batches.store import BatchStore
from jobs.connect import split_urls
from jobs.errors import BrokerUnavailable
from jobs.settings import BrokerSettings
from jobs.shards import close_all, home, open_all

if TYPE_CHECKING:
    from api.settings import ApiSettings


class Desk:
    """An async context manager; works while it is open. Has connections of its own, so that no eval waits for them."""

    def __init__(self, settings: ApiSettings) -> None:
        urls = split_urls(settings.redis_url.get_secret_value())
        broker = BrokerSettings(
            result_ttl_s=settings.result_ttl_s,
            open_batches=settings.batches_per_token,
            open_items=settings.items_per_token,
        )
        self.archive = Archive(settings.batch_store.get_secret_value()) if settings.batch_store else None
        self._opened = open_all(urls)
        self._stores = [BatchStore(connections, broker, self.archive) for connections in self._opened]
        self.owners = Owners(self._opened[0], broker)
        self.carrier = Carrier(urls[0])
        self.result_ttl_s = settings.result_ttl_s
        self._keeping: list[asyncio.Task[None]] = []
        self._loops = Keeper(self), Webhooks(self, settings)

    async def __aenter__(self) -> Self:
        self._keeping = [asyncio.create_task(loop.keep(), name="batches") for loop in self._loops]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._keeping:
            await tail.stop(task)
        self.carrier.close()
        await close_all(self._opened)

    def store(self, batch_id: str) -> BatchStore:
        """Store of the Redis that the batch is on, with all its jobs."""
        return self._stores[home(batch_id, len(self._stores))]

    async def reserve(self, owner: str, batch_id: str) -> int:
        """Count one more open batch; gives the items that it may have. Raises TooManyBatches."""
        for one in await self.owners.reserved(owner):
            if await self.store(one).state(one) not in (*OPEN, BatchState.UPLOADING):
                await self.owners.release(owner, one)
        return await self.owners.reserve(owner, batch_id, 0)

    async def waiting(self) -> int:
        """Items of open batches that are on no lane yet. None before it is open."""
        if not self._keeping:
            return 0
        opened = await self.owners.open(MANY)
        batches = await asyncio.gather(*(self.store(batch_id).get(batch_id) for _, batch_id in opened))
        return sum(batch.waiting for batch in batches if batch and batch.state in OPEN)

    async def hand_over(self, batch_id: str) -> None:
        """Have the batch run. What this misses (we die, Redis goes away) the keeper makes up for."""
        with suppress(BrokerUnavailable):
            await asyncio.to_thread(self.carrier.enqueue, batch_id, result_ttl_s=self.result_ttl_s)

    async def cancel(self, batch_id: str) -> BatchState | None:
        """End an open batch, running programs included; gives the state it was in, None if there is no such batch."""
        before = await self.store(batch_id).end(batch_id, BatchState.CANCELLED)
        if before in OPEN:
            with suppress(BrokerUnavailable):
                await asyncio.to_thread(self.carrier.stop, batch_id)
        return before
