"""One turn of a batch: keep its window on the lane filled, pack its results, until all is done or others wait.

RQ runs `coordinate` in a process of its own (a fork of `rq worker`) and, as it returns `Retry`, puts the batch at the
end of the queue. It runs no program: workers do, and they record the results. Killed at any point it goes on where it
was, since which items are submitted and done is in Redis, written by the very steps that submit and finish.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from rq import Retry, get_current_job

from jobs.batches import work
from jobs.batches.archive import Archive
from jobs.batches.carrier import ANY_NUMBER, TURN_S, Carrier
from jobs.batches.model import BatchState
from jobs.batches.store import BatchStore
from jobs.batches.work import Submitted
from jobs.connect import split_urls
from jobs.errors import BrokerUnavailable
from jobs.settings import BrokerSettings
from jobs.shards import close_all, home, open_all, submitter_of
from worker.batches.settings import CoordinatorSettings
from worker.batches.source import Source
from worker.batches.window import Window

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from jobs.batches.work import Work
    from jobs.broker import Submitter

log = logging.getLogger(__name__)
SLICE_S = 1.0
"""The least turn of a batch when others wait for theirs."""
_LOOK_S = 1.0
_LOST_AFTER_S = 10.0
_PATIENCE_S = 60.0
_KEPT_UNPACKED = 256
_FAILURES, _AFTER_FAILURE_S = 10, 1.0
_REFILL_S = 0.1  # of completions, before the window is filled again


async def coordinate(batch_id: str) -> str | Retry:
    """Do one turn; the state at its end, or Retry if the batch wants another turn."""
    settings = CoordinatorSettings()
    urls = split_urls(settings.redis_url.get_secret_value())
    opened, broker, carrier = open_all(urls), BrokerSettings(result_ttl_s=settings.result_ttl_s), Carrier(urls[0])
    connections = opened[home(batch_id, len(opened))]
    archive = Archive(settings.batch_store.get_secret_value()) if settings.batch_store else None
    store = BatchStore(connections, broker, archive)
    try:
        taken = await work.take_over(connections, broker, store, batch_id)
        if not isinstance(taken, work.Work):
            return str(taken or "expired")
        turn = Turn(taken, submitter_of(opened, broker), carrier, worker=_own_worker())
        async with _patience(taken):
            ended = await turn.run()
        if ended is BatchState.RUNNING:
            # What RQ knows of the job is the twin's by now: not a word to it. To its worker, code 0 is no news.
            os._exit(0)
        return ended or Retry(max=ANY_NUMBER)
    finally:
        carrier.close()
        await close_all(opened)


@asynccontextmanager
async def _patience(work: Work) -> AsyncIterator[None]:
    """Let an error out, for RQ to try again, but not at once, and not for ever without anything done between."""
    try:
        yield
    except Exception as error:
        log.exception("turn failed", extra={"event": "batch_turn_failed", "batch": work.id})
        failures = await work.count_failure()
        if failures >= _FAILURES:
            await work.give_up(f"given up after {failures} failures in a row: {type(error).__name__}")
        await asyncio.sleep(_AFTER_FAILURE_S)
        raise


def _own_worker() -> str:
    """Name of the RQ worker that runs this."""
    job = get_current_job()
    return (job and job.worker_name) or ""


class Turn:
    """The turn of one batch."""

    def __init__(self, work: Work, submitter: Submitter, carrier: Carrier, *, worker: str) -> None:
        self._work, self._submitter, self._carrier, self._worker = work, submitter, carrier, worker
        self._source = Source(work)
        self._window = Window()
        self._began = self._moved_at = time.monotonic()
        self._looked_at = -_LOOK_S
        self._slots = 0
        self._others = self._leaving = False
        self._completed = -1

    async def run(self) -> BatchState | None:
        """Until the batch is over (its state), or gives its turn to others (None)."""
        answered_at = time.monotonic()
        while True:
            try:
                ended = await self._step()
                answered_at = time.monotonic()
            except BrokerUnavailable as error:  # workers go on with what is on the lane
                log.warning("broker unavailable", extra={"event": "broker_unavailable", "why": str(error)})
                if time.monotonic() - answered_at > _PATIENCE_S:
                    raise
                self._source.stale()
                await asyncio.sleep(0.2)
                continue
            if ended is not None:
                return ended
            if self._gives_way():
                return None

    async def _step(self) -> BatchState | None:
        """Fill the window, wait for half of what waits to be done; the batch's state if it is over."""
        now = await self._work.progress()
        if not now.ours:
            return BatchState.RUNNING  # a twin took over, the rest is its own
        if now.state is not BatchState.RUNNING:
            return now.state
        self._saw(now.completed)
        await self._look()
        size = self._window.size(self._slots, 2 if self._others else 1)
        room = size - await self._source.in_flight(now.completed)
        if await self._work.is_short():  # one at a time: what the batch itself has in Redis goes when it is done
            room += 1 - size
        if room > 0 and await self._source.submit(room) is Submitted.FULL:
            await asyncio.sleep(0.1)
        await self._work.pack(now.completed, keep=_KEPT_UNPACKED)
        await self._heed_losses(now.completed)
        in_flight = await self._source.in_flight(now.completed)
        done = now.completed + max(1, min(in_flight, size // 4, round(self._window.rate * _REFILL_S)))
        if await self._work.wait(done, block_s=SLICE_S / 2 if self._others else SLICE_S):
            self._source.stale()
        return None

    def _saw(self, completed: int) -> None:
        now_s = time.monotonic()
        self._window.saw(completed, now_s)
        if completed != self._completed:
            self._completed, self._moved_at = completed, now_s

    async def _look(self) -> None:
        """Once a second: how many slots there are, who else waits, and whether we are to stop."""
        if time.monotonic() - self._looked_at < _LOOK_S:
            return
        self._looked_at = time.monotonic()
        self._slots = sum(worker.slots for worker in await self._submitter.workers())
        self._others = await asyncio.to_thread(self._carrier.others_wait)
        self._leaving = await asyncio.to_thread(self._carrier.is_leaving, self._worker)

    def _gives_way(self) -> bool:
        turn_s = time.monotonic() - self._began
        return self._leaving or turn_s > TURN_S or (self._others and turn_s > SLICE_S)

    async def _heed_losses(self, completed: int) -> None:
        """Items that are on no lane any more (an operator removed it, nobody could decode them) are submitted again."""
        if time.monotonic() - self._moved_at < _LOST_AFTER_S or not await self._source.in_flight(completed):
            return
        if await self._work.lanes_empty():
            log.warning("items lost", extra={"event": "batch_items_lost", "batch": self._work.id})
            await self._work.forget_lost()
            self._source.stale()
            self._moved_at = time.monotonic()
