"""Ask several shards at once, without waiting for one that does not answer.

A shard that is late, or says that Redis is away, is in doubt: nobody waits for it again until it has answered a
ping. What a late call still brings is handed to `late`, never cancelled: it may have taken jobs.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Generic, TypeVar

from jobs.errors import BrokerUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
    from typing import Any, Final

    from jobs.broker import Gauges

B = TypeVar("B", bound="Gauges")
T = TypeVar("T")

log = logging.getLogger(__name__)
PATIENCE_S: Final = 0.5
"""Longer than any answer of a server that lives; what one that does not costs the others, once."""
_PAUSE_S = 0.2


class Shard(Generic[B]):
    """One of several Redis, and whether it is worth waiting for."""

    def __init__(self, number: int, address: str, broker: B) -> None:
        self.number, self.address, self.broker = number, address, broker
        self._beside: set[asyncio.Future[Any]] = set()
        self._doubted = False

    @property
    def available(self) -> bool:
        """Whether it answered when it was last asked."""
        return not self._doubted

    def doubt(self) -> None:
        """Wait for it no more, until it answers a ping."""
        if not self._doubted:
            self._doubted = True
            log.warning("shard in doubt", extra={"event": "shard_in_doubt", "redis": self.address})
            self.beside(self._until_it_answers())

    def beside(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Have something done that nobody waits for."""
        task = asyncio.get_running_loop().create_task(work)
        self._beside.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Future[Any]) -> None:
        self._beside.discard(task)
        if not task.cancelled():
            task.exception()  # was for nobody

    async def _until_it_answers(self) -> None:
        while self._doubted:
            try:
                await self.broker.ping()
                self._doubted = False
            except BrokerUnavailable:
                await asyncio.sleep(_PAUSE_S)
        log.info("shard answers", extra={"event": "shard_answers", "redis": self.address})


async def ask(
    shards: Collection[Shard[B]],
    call: Callable[[Shard[B]], Coroutine[Any, Any, T]],
    *,
    late: Callable[[Shard[B], T], Awaitable[None]] | None = None,
) -> Mapping[int, T]:
    """Answers of the shards that gave one, by number. Raises BrokerUnavailable if there were shards, and none did."""
    loop = asyncio.get_running_loop()
    asked = {loop.create_task(call(shard)): shard for shard in shards if shard.available}
    done = await settled(asked, PATIENCE_S, late=late)
    found = {asked[task].number: task.result() for task in done if answered(asked[task], task)}
    if shards and not found:
        raise BrokerUnavailable(f"none of {len(shards)} shards answers")
    return found


async def settled(
    asked: Mapping[asyncio.Task[T], Shard[B]],
    patience_s: float,
    *,
    late: Callable[[Shard[B], T], Awaitable[None]] | None = None,
) -> set[asyncio.Task[T]]:
    """Those that are done within the patience; the others go on, their shards are doubted."""
    if not asked:
        return set()
    done: set[asyncio.Task[T]] = set()
    try:
        done, _ = await asyncio.wait(asked, timeout=patience_s)
    finally:
        for task in asked.keys() - done:
            if not task.done():  # else we were cancelled, and it is not to blame
                asked[task].doubt()
            leave(task, asked[task], late)
    return done


def answered(shard: Shard[B], task: asyncio.Task[T]) -> bool:
    """Whether a call that is done has a result; BrokerUnavailable becomes doubt, anything else is raised."""
    try:
        task.result()
    except BrokerUnavailable:
        shard.doubt()
        return False
    return True


def leave(task: asyncio.Task[T], shard: Shard[B], late: Callable[[Shard[B], T], Awaitable[None]] | None) -> None:
    """Wait no more for a call; `late` gets what it brings."""

    async def hear() -> None:
        answer = await task
        if late is not None:
            await late(shard, answer)

    shard.beside(hear())
