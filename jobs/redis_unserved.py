"""What nobody looks after: names of workers that are gone, lanes of environments that no worker serves any more."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from jobs import keys, wire
from jobs.errors import WireError
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


class RedisUnserved(RedisGauges):
    """One worker's share of it, done now and then; any number of workers may do it at once."""

    def __init__(self, connections: Connections, settings: BrokerSettings, lanes: RedisLanes) -> None:
        super().__init__(connections, settings)
        self._lanes = lanes
        self._swept_at = self._saved_at = time.monotonic()

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
        for stream in streams(sorted(await self._unserved())):
            rows += await self._claim_overdue(stream, limit - len(rows))
        return rows

    async def _unserved(self) -> set[str]:
        """Environments whose lanes may hold something, and no live worker serves them."""
        served = {name for worker in await self.workers() for name in worker.environments}
        return await self.known() - served - set(self._lanes.environments)

    async def _claim_overdue(self, stream: Stream, limit: int) -> list[Row]:
        name = self._keys.lane(*stream)
        entries: Any = await self._redis.xrange(name, count=limit) if limit > 0 else []
        over = [entry_id for entry_id, fields in entries if _is_over(fields)]
        if not over:
            return []
        # FORCE: nobody has leased most of these. What a live worker runs has been idle for less, and stays there.
        lease_ms = int(self._settings.lease_s * 1000)
        claim = partial(self._redis.xclaim, name, keys.GROUP, self._lanes.worker, lease_ms, over, force=True)
        claimed: Any = await self._lanes.with_groups(claim, [stream])
        return [Row(stream, entry_id.decode(), 1, fields) for entry_id, fields in claimed if fields]


def _is_over(fields: Mapping[bytes, bytes]) -> bool:
    """Whether an entry's deadline has passed, or nobody can read it."""
    try:
        return wire.decode_job(fields[b"job"]).deadline_at <= time.time()
    except (KeyError, WireError):
        return True
