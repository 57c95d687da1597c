# ruff: noqa: D102 (documented once, in the Protocols)
"""What both halves of the broker can ask of one Redis."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from jobs import wire
from jobs.connect import redis_errors
from jobs.errors import WireError
from jobs.keys import Keys
from jobs.model import DEFAULT, LaneStats
from jobs.scripts import LANES, Scripts, Stream

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from typing import Any

    from jobs.connect import Connections
    from jobs.model import Lane, WorkerInfo
    from jobs.settings import BrokerSettings


class RedisGauges:
    """What both halves have in common."""

    def __init__(self, connections: Connections, settings: BrokerSettings) -> None:
        self._redis = connections.commands
        self._connections = connections
        self._settings = settings
        self._keys = Keys(settings.prefix)
        self._scripts = Scripts(connections.commands, self._keys)

    async def ping(self) -> None:
        with redis_errors():
            await self._scripts.ping()

    async def unreachable(self) -> Sequence[str]:
        await self.ping()
        return ()

    async def lane_stats(self) -> Mapping[Lane, LaneStats]:
        with redis_errors():
            known = await self.known()
            lanes = {lane: [Stream(lane, name) for name in known] for lane in LANES}
            return {lane: _lane_stats(*await self._scripts.stats(streams)) for lane, streams in lanes.items()}

    async def depth(self, lane: Lane) -> int:
        stats = (await self.lane_stats())[lane]
        return stats.waiting + stats.running

    async def dead_letters(self) -> int:
        with redis_errors():
            return await self._redis.xlen(self._keys.dead)

    async def workers(self) -> Sequence[WorkerInfo]:
        with redis_errors():
            members: Any = await self._redis.smembers(self._keys.workers)
            ids = sorted(members)
            if not ids:
                return []
            notices: Any = await self._redis.mget([self._keys.worker(known.decode()) for known in ids])
            if gone := [known for known, notice in zip(ids, notices, strict=True) if notice is None]:
                await self._redis.srem(self._keys.workers, *gone)
        return [worker for notice in notices if notice is not None and (worker := _worker(notice))]

    async def environments(self) -> Collection[str]:
        workers = await self.workers()
        if workers:
            return {name for worker in workers for name in worker.environments}
        with redis_errors():
            return await self.known()

    async def known(self) -> set[str]:
        """Environments whose lanes may hold something."""
        names: Any = await self._redis.smembers(self._keys.environments)
        return {DEFAULT, *(name.decode() for name in names)}


def _worker(notice: bytes) -> WorkerInfo | None:
    """The worker of a notice; None for one that we cannot read, which must not hide the others."""
    with suppress(WireError):
        return wire.decode_worker(notice)
    return None


def _lane_stats(waiting: int, running: int, age_ms: int) -> LaneStats:
    return LaneStats(waiting=waiting, running=running, oldest_s=age_ms / 1000)
