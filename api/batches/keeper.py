"""Keeps batches going whatever dies: abandoned RQ jobs come back, batches without one get one, ended ones are closed.

Every api process has one; a lock in Redis lets one of them at a time do the work.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from jobs.batches.model import OPEN, BatchState, WebhookState
from jobs.batches.owners import MANY
from jobs.errors import BrokerUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from api.batches.desk import Desk
    from jobs.batches.archive import Archive

PERIOD_S = 1.0
_SWEPT = 20
_SWEEP_AGAIN_S = 60.0

log = structlog.get_logger("api")


class Keeper:
    """The loop. Each round may be done twice, or by two at once, without harm."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._start = 0
        self._missed: set[str] = set()

    async def keep(self) -> None:
        """Round after round, for ever."""
        while True:
            try:
                if await self._desk.owners.may_keep():
                    await self.round()
            except Exception as error:  # noqa: BLE001 (whatever it is, it must not end the loop)
                log.warning("batch_keeper_failed", error=type(error).__name__)
            await asyncio.sleep(PERIOD_S)

    async def round(self) -> None:
        """Look at everything once."""
        await asyncio.to_thread(self._desk.carrier.reap)
        for owner, batch_id in await self._some_open():
            with suppress(BrokerUnavailable):  # its Redis is away, others' may be there
                await self._look_at(owner, batch_id)
        if self._desk.archive is not None:
            await self._sweep(self._desk.archive)

    async def _look_at(self, owner: str, batch_id: str) -> None:
        state = await self._desk.store(batch_id).state(batch_id)
        if state in OPEN:
            await self._carried(batch_id)
        elif state is not BatchState.UPLOADING:
            await self._closed(owner, batch_id)

    async def _some_open(self) -> Sequence[tuple[str, str]]:
        """Batches that were open when last looked at: all of them, or each round some more."""
        found = await self._desk.owners.open(MANY, start=self._start)
        self._start = self._start + MANY if len(found) == MANY else 0
        return found

    async def _carried(self, batch_id: str) -> None:
        """See to it that RQ has a job for an open batch: missed twice, it is gone, and not just on its way."""
        desk = self._desk
        if await asyncio.to_thread(desk.carrier.carries, batch_id):
            self._missed.discard(batch_id)
        elif batch_id not in self._missed:
            self._missed.add(batch_id)
        else:
            self._missed.discard(batch_id)
            log.warning("batch_handed_over_again", batch=batch_id)
            await asyncio.to_thread(desk.carrier.replace, batch_id, result_ttl_s=desk.result_ttl_s)

    async def _closed(self, owner: str, batch_id: str) -> None:
        """A batch ended, or vanished: it counts no more."""
        self._missed.discard(batch_id)
        batch = await self._desk.store(batch_id).get(batch_id)
        owners = self._desk.owners
        if batch and batch.webhook and batch.webhook.state is WebhookState.PENDING:
            await owners.webhooks.put(batch_id, 0.0)
        if batch and batch.expires_at and self._desk.archive is not None:
            await owners.archived.put(batch_id, batch.expires_at)
        await owners.close(owner, batch_id)

    async def _sweep(self, archive: Archive) -> None:
        """Remove what the archive holds of batches that have expired, or never came to be."""
        archived = self._desk.owners.archived
        for batch_id in await archived.due(time.time(), put_off_s=_SWEEP_AGAIN_S, most=_SWEPT):
            if await self._desk.store(batch_id).state(batch_id) is None:
                await archive.remove(batch_id)
                await archived.done(batch_id)
