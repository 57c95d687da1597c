"""Keeps batches going whatever dies: abandoned RQ jobs come back, batches without one get one, ended ones are closed.

Every api process has one; a lock in Redis lets one of them at a time do the work.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from jobs.batches.model import OPEN, BatchState, Delivery
from jobs.errors import JobsError

if TYPE_CHECKING:
    from api.batches.desk import Desk

PERIOD_S = 1.0
_LOOKED_AT = 200
"""Open batches that one round looks at."""

log = structlog.get_logger("api")


class Keeper:
    """The loop. Each round may be done twice, or by two at once, without harm."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def keep(self) -> None:
        """Round after round, for ever."""
        while True:
            try:
                if await self._desk.owners.may_keep():
                    await self.round()
            except JobsError as error:
                log.warning("batch_keeper_failed", error=type(error).__name__)
            await asyncio.sleep(PERIOD_S)

    async def round(self) -> None:
        """Look at everything once."""
        await asyncio.to_thread(self._desk.carrier.reap)
        for owner, batch_id in await self._desk.owners.open(_LOOKED_AT):
            state = await self._desk.store(batch_id).state(batch_id)
            if state in OPEN:
                await self._carried(batch_id)
            elif state is not BatchState.UPLOADING:
                await self._closed(owner, batch_id)

    async def _carried(self, batch_id: str) -> None:
        """See to it that RQ has a job for an open batch."""
        desk = self._desk
        if not await asyncio.to_thread(desk.carrier.carries, batch_id):
            log.warning("batch_handed_over_again", batch=batch_id)
            await asyncio.to_thread(desk.carrier.replace, batch_id, result_ttl_s=desk.result_ttl_s)

    async def _closed(self, owner: str, batch_id: str) -> None:
        """A batch ended, or vanished: it counts no more."""
        batch = await self._desk.store(batch_id).get(batch_id)
        if batch and batch.webhook and batch.webhook.state is Delivery.PENDING:
            await self._desk.owners.owe(owner, batch_id, 0.0)
        await self._desk.owners.close(owner, batch_id)
