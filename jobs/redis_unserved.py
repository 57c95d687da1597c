"""What nobody looks after: names of workers that are gone, lanes of environments that no worker serves any more."""

from __future__ import annotations

import heapq
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from jobs import keys, wire
from jobs.errors import WireError
from jobs.portion import PORTION_BYTES, Portion
from jobs.redis_gauges import RedisGauges
from jobs.redis_lanes import streams
from jobs.scripts import Row

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from jobs.connect import Connections
    from jobs.redis_lanes import RedisLanes
    from jobs.scripts import Stream
    from jobs.settings import BrokerSettings

_SWEEP_EVERY_S = 60.0
_GONE_MS = 60_000
_READ_COUNT = 256


class RedisUnserved(RedisGauges):
    """One worker's share of it, done now and then; any number of workers may do it at once."""

    def __init__(self, connections: Connections, settings: BrokerSettings, lanes: RedisLanes) -> None:
        super().__init__(connections, settings)
        self._lanes = lanes
        self._swept_at = self._saved_at = time.monotonic()
        self._seen: dict[Stream, _Seen] = {}

    async def sweep(self) -> None:
        """Forget workers that are gone, and environments that nobody serves or waits for."""
        if time.monotonic() - self._swept_at >= _SWEEP_EVERY_S:
            self._swept_at = time.monotonic()
            await self._scripts.sweep(self._lanes.in_turn(), idle_ms=_GONE_MS)
            for environment in await self._unserved():
                await self._scripts.retire(environment)

    async def overdue(self, limit: int) -> list[Row]:
        """Lease what waits for an unserved environment past its deadline: somebody has to answer."""
        if limit <= 0 or time.monotonic() - self._saved_at < self._settings.lease_s:
            return []
        self._saved_at = time.monotonic()
        rows: list[Row] = []
        self._seen = {one: self._seen.get(one) or _Seen() for one in streams(sorted(await self._unserved()))}
        for stream, seen in self._seen.items():
            await self._read_on(seen, stream)
            rows += await self._claim_overdue(seen, stream, limit - len(rows))
        return rows

    async def _unserved(self) -> set[str]:
        """Environments whose lanes may hold something, and no live worker serves them."""
        served = {name for worker in await self.workers() for name in worker.environments}
        return await self.known() - served - set(self._lanes.environments)

    async def _read_on(self, seen: _Seen, stream: Stream) -> None:
        """Note the deadlines of what has come since: each entry is read once, however long it waits."""
        room_bytes = PORTION_BYTES
        while room_bytes > 0:
            asked = seen.portion.count
            entries: Any = await self._redis.xrange(self._keys.lane(*stream), min=f"({seen.last}", count=asked)
            sizes = [sum(map(len, fields.values())) for _, fields in entries]
            for (entry_id, fields), size_bytes in zip(entries, sizes, strict=True):
                seen.last = entry_id.decode()
                heapq.heappush(seen.due, _Due(_deadline(fields), seen.last, size_bytes))
            seen.portion.came(len(entries), sum(sizes))
            room_bytes -= sum(sizes)
            if len(entries) < asked:
                break

    async def _claim_overdue(self, seen: _Seen, stream: Stream, limit: int) -> list[Row]:
        over = seen.take_over(limit)
        if not over:
            return []
        name = self._keys.lane(*stream)
        ids: list[Any] = [due.entry_id for due in over]
        # FORCE: nobody has leased most of these. What a live worker runs has been idle for less, and stays there.
        lease_ms = int(self._settings.lease_s * 1000)
        claim = partial(self._redis.xclaim, name, keys.GROUP, self._lanes.worker, lease_ms, ids, force=True)
        claimed: Any = await self._lanes.with_groups(claim, [stream])
        rows = [Row(stream, entry_id.decode(), 1, fields) for entry_id, fields in claimed if fields]
        taken = {row.entry_id for row in rows}
        for due in [due for due in over if due.entry_id not in taken]:
            if await self._redis.xrange(name, min=due.entry_id, max=due.entry_id):  # still another worker's
                heapq.heappush(seen.due, due._replace(at=time.time() + self._settings.lease_s))
        return rows


class _Due(NamedTuple):
    """An entry by its deadline, Unix time."""

    at: float
    entry_id: str
    size_bytes: int


@dataclass
class _Seen:
    """What was read of one lane, soonest deadline first."""

    due: list[_Due] = field(default_factory=list)
    last: str = "0-0"
    portion: Portion = field(default_factory=lambda: Portion(_READ_COUNT))

    def take_over(self, limit: int) -> list[_Due]:
        """What is over its deadline: so many at most, and no more once they have a portion's bytes."""
        over: list[_Due] = []
        room_bytes, now = PORTION_BYTES, time.time()
        while self.due and self.due[0].at <= now and len(over) < limit and room_bytes > 0:
            over.append(heapq.heappop(self.due))
            room_bytes -= over[-1].size_bytes
        return over


def _deadline(fields: Mapping[bytes, bytes]) -> float:
    """Of an entry; one that nobody can read is over."""
    try:
        return wire.decode_job(fields[b"job"]).deadline_at
    except (KeyError, WireError):
        return 0.0
