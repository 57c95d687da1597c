"""What one worker takes from the lanes of one Redis, and in which order.

A worker serves environments; each has a lane of every kind. Single lanes come first, environments take turns.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from redis.exceptions import ResponseError

from jobs import keys
from jobs.connect import MAX_BLOCK_S
from jobs.keys import Keys
from jobs.model import DEFAULT, Lane
from jobs.portion import Portion
from jobs.scripts import LANES, Row, Scripts, Stream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence
    from typing import Any

    from jobs.connect import Client, Connections
    from jobs.settings import BrokerSettings

T = TypeVar("T")

_COUNT = 64
_WAITED_S = 0.001
"""A blocking read that took longer found empty lanes. A hint only: a wrong guess costs a round trip."""


class RedisLanes:
    """The lanes that one worker reads; its leases are held in the name `worker`."""

    def __init__(self, connections: Connections, settings: BrokerSettings, *, worker: str) -> None:
        self.worker = worker
        self._redis, self._reads = connections.commands, connections.reads
        self._keys = Keys(settings.prefix)
        self._scripts = Scripts(connections.commands, self._keys)
        self._environments = [DEFAULT]
        self._empty = False
        self._portion = Portion(_COUNT)

    @property
    def environments(self) -> Sequence[str]:
        """What is served, in this moment's order."""
        return self._environments

    @property
    def seems_empty(self) -> bool:
        """The lanes were empty a moment ago: wait at once, without looking first."""
        return self._empty

    def serve(self, environments: Collection[str]) -> None:
        """Read the lanes of these environments from now on."""
        self._environments = list(environments)
        self._empty = False

    async def take(self, *, single: int, batch: int, wait_s: float) -> list[Row]:
        """Lease up to `single` and `batch` rows, at most the larger number in all; waits up to `wait_s` for one."""
        # A wait for one lane takes what is there as well, by number. Where jobs may be big a look keeps to a bound.
        number = 0 if single and batch else max(single, batch)
        waits = wait_s > 0 and (self._empty or 0 < number <= self._portion.count)
        rows = [] if waits else await self._look(single, batch)
        rows = rows or (await self._wait(single, batch, wait_s) if wait_s > 0 else [])
        if rows:
            self._portion.came(len(rows), sum(len(row.fields.get(b"job", b"")) for row in rows))
        return rows

    def in_turn(self) -> list[Stream]:
        """Lanes of what is served, single ones first; each time another environment goes first."""
        self._environments = [*self._environments[1:], *self._environments[:1]]
        return streams(self._environments)

    async def with_groups(self, step: Callable[[], Awaitable[T]], lanes: Sequence[Stream]) -> T:
        """Do the step; where Redis is new or was wiped, make the groups of the lanes and do it again."""
        try:
            return await step()
        except ResponseError as error:
            if not str(error).startswith(("NOGROUP", "UNBLOCKED")):
                raise
        for stream in lanes:
            with suppress(ResponseError):  # another worker was first
                await self._redis.xgroup_create(self._keys.lane(*stream), keys.GROUP, id="0", mkstream=True)
        return await step()

    async def _look(self, single: int, batch: int) -> list[Row]:
        lanes = self.in_turn()
        order = list(self._environments)
        return await self.with_groups(
            lambda: self._scripts.lease(self.worker, order, single=single, batch=batch), lanes
        )

    async def _wait(self, single: int, batch: int, wait_s: float) -> list[Row]:
        room = {lane: count for lane, count in ((Lane.SINGLE, single), (Lane.BATCH, batch)) if count > 0}
        if not room:
            return []
        lanes = [stream for stream in self.in_turn() if stream.lane in room]
        if not lanes:  # nothing is served now
            await asyncio.sleep(wait_s)
            return []
        # COUNT is per stream, so with several only 1 keeps to what was asked for (and one more of each).
        count = 1 if len(lanes) > 1 else min(max(room.values()), self._portion.count)
        began = time.monotonic()
        rows = await self.with_groups(lambda: self._read(lanes, count, min(wait_s, MAX_BLOCK_S)), lanes)
        self._empty = len(rows) < len(lanes) and time.monotonic() - began >= _WAITED_S
        return rows

    async def _read(self, lanes: Collection[Stream], count: int, block_s: float) -> list[Row]:
        return await self._read_by(self._reads, lanes, count, block_s)

    async def _read_by(self, client: Client, lanes: Collection[Stream], count: int, block_s: float) -> list[Row]:
        names = {self._keys.lane(*stream): stream for stream in lanes}
        reply: Any = await client.xreadgroup(
            keys.GROUP,
            self.worker,
            dict.fromkeys(names, ">"),
            count=count,
            block=max(1, round(block_s * 1000)),  # 0 would be for ever
        )
        return [
            Row(names[name.decode()], entry_id.decode(), 1, fields)
            for name, entries in reply.items()
            for entry_id, fields in entries
        ]


def streams(environments: Sequence[str]) -> list[Stream]:
    """Every lane of these environments, single ones first."""
    return [Stream(lane, environment) for lane in LANES for environment in environments]
