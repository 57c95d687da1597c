# ruff: noqa: D102 (documented once, in the Protocols)
"""The working half over several Redis: one worker serves every shard, and fairly.

Each lease begins at another shard. A wait is one blocking read per shard at once; when one brings a job, the server
ends the others (CLIENT UNBLOCK), so that none is cancelled and what they had taken by then is leased too.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from jobs.errors import BrokerUnavailable
from jobs.model import Lane
from jobs.redis_lanes import RedisLanes
from jobs.redis_worker import RedisWorkerBroker
from jobs.shards import ShardedGauges, home
from jobs.spread import PATIENCE_S, Shard, answered, ask, leave, settled
from jobs.tail import stop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Coroutine, Sequence
    from typing import Any

    from jobs.broker import WorkerBroker
    from jobs.connect import Connections
    from jobs.model import Delivery, Finish, JobResult, Output, SharedPart, WorkerInfo
    from jobs.scripts import Row, Stream
    from jobs.settings import BrokerSettings

_UNBLOCK_EVERY_S = 0.001
_PAUSE_S = 0.5
_KEPT_S = 2.0  # a worker with room leases twice in it


class ShardLanes(RedisLanes):
    """The lanes on one of several Redis: a wait for them can be ended from here, and loses nothing by it."""

    def __init__(self, connections: Connections, settings: BrokerSettings, *, worker: str) -> None:
        super().__init__(connections, settings, worker=worker)
        self._lane_reads = connections.lane_reads
        self._reader_ids: dict[Lane, int] = {}

    async def unblock(self, lane: Lane) -> None:
        """Have the server end the blocking read of this lane (first), if it is in one.

        One of another client, at worst, ends early.
        """
        if lane in self._reader_ids:
            with suppress(Exception):  # a server that does not know the command or is away: it ends by itself
                await self._redis.client_unblock(self._reader_ids[lane])

    async def _read(self, lanes: Collection[Stream], count: int, block_s: float) -> list[Row]:
        lane = next(iter(lanes)).lane
        # Asked each time: a connection may be a new one.
        self._reader_ids[lane] = await self._lane_reads[lane].client_id()
        return await self._read_by(self._lane_reads[lane], lanes, count, block_s)


class ShardWorkerBroker(RedisWorkerBroker):
    """The working half on one of several Redis."""

    def __init__(self, connections: Connections, settings: BrokerSettings, *, worker: str) -> None:
        self.lanes = ShardLanes(connections, settings, worker=worker)
        super().__init__(connections, settings, self.lanes)


Shards = list[Shard[ShardWorkerBroker]]
Reads = dict["asyncio.Task[Sequence[Delivery]]", Shard[ShardWorkerBroker]]


def worker_broker_of(opened: Sequence[Connections], settings: BrokerSettings, *, worker: str) -> WorkerBroker:
    """The working half over one Redis or several. `worker` must be unique to this process."""
    if len(opened) == 1:
        return RedisWorkerBroker(opened[0], settings, RedisLanes(opened[0], settings, worker=worker))
    return ShardedWorkerBroker(
        [
            Shard(number, one.address, ShardWorkerBroker(one, settings, worker=worker))
            for number, one in enumerate(opened)
        ]
    )


class ShardedWorkerBroker(ShardedGauges):
    """Implements `WorkerBroker`. What belongs to a delivery goes to its shard; all else to every one that answers."""

    def __init__(self, shards: Shards) -> None:
        super().__init__(shards)
        self._every = shards
        self._late = _Late()
        self._waits = {lane: _Lanes(shards, lane, self._late) for lane in Lane}
        self._turn = 0

    def serve(self, environments: Collection[str]) -> None:
        for shard in self._every:
            shard.broker.serve(environments)

    async def lease(self, *, single: int, batch: int, wait_s: float) -> Sequence[Delivery]:
        if late := self._late.take({Lane.SINGLE: single, Lane.BATCH: batch}):
            return late
        first = Lane.SINGLE if single else Lane.BATCH
        return await self._waits[first].lease(single=single, batch=batch, wait_s=wait_s)

    async def renew(self, deliveries: Collection[Delivery]) -> Collection[Delivery]:
        held: dict[int, list[Delivery]] = {}
        for delivery in deliveries:
            held.setdefault(delivery.shard, []).append(delivery)
        lost = await ask([self._every[number] for number in held], lambda shard: shard.broker.renew(held[shard.number]))
        return [delivery for of_shard in lost.values() for delivery in of_shard]

    async def reclaim(self, *, limit: int) -> Sequence[Delivery]:
        found: list[Delivery] = []
        self._turn += 1
        for shard in _in_turn(self._every, self._turn):
            found += await _soon(shard, shard.broker.reclaim(limit=limit - len(found)), self._late)
        return found

    async def shared(self, part_id: str) -> SharedPart | None:
        return await self._every[home(part_id, len(self._every))].broker.shared(part_id)

    async def emit(self, delivery: Delivery, output: Output) -> None:
        await self._every[delivery.shard].broker.emit(delivery, output)

    async def finish(self, delivery: Delivery, result: JobResult) -> Finish:
        return await self._every[delivery.shard].broker.finish(delivery, result)

    async def release(self, delivery: Delivery) -> None:
        await self._every[delivery.shard].broker.release(delivery)

    async def dead_letter(self, delivery: Delivery, result: JobResult) -> Finish:
        return await self._every[delivery.shard].broker.dead_letter(delivery, result)

    async def cancellations(self) -> AsyncIterator[str]:
        heard: asyncio.Queue[str] = asyncio.Queue()
        readers = [asyncio.create_task(_hear(shard, heard)) for shard in self._every]
        try:
            while True:
                yield await heard.get()
        finally:
            for reader in readers:
                await stop(reader)

    async def announce(self, worker: WorkerInfo) -> None:
        await ask(self._every, lambda shard: shard.broker.announce(worker))


class _Late:
    """What shards gave when nobody waited for it any more, for the next lease if there is one soon.

    If it were given back at once, a job that is long on its way would never run.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[int, str, Lane, str], Delivery] = {}

    async def keep(self, shard: Shard[ShardWorkerBroker], deliveries: Sequence[Delivery]) -> None:
        kept = {delivery.key: delivery for delivery in _marked(shard.number, deliveries)}
        self._kept |= kept
        await asyncio.sleep(_KEPT_S)
        await _give_back(shard, [self._kept.pop(key) for key in kept if key in self._kept])

    def take(self, room: dict[Lane, int]) -> list[Delivery]:
        """What there is room for, as a lease counts it."""
        found: list[Delivery] = []
        most = max(room.values())
        for key, delivery in list(self._kept.items()):
            if room[delivery.lane] > 0 and len(found) < most:
                room[delivery.lane] -= 1
                found.append(self._kept.pop(key))
        return found


class _Lanes:
    """Leases from the lanes of all shards; one call at a time. Two may wait at once if their first lanes differ."""

    def __init__(self, shards: Shards, first: Lane, late: _Late) -> None:
        self._shards, self._first, self._late = shards, first, late
        self._turn = 0
        self._empty = False
        """The lanes were empty a moment ago: wait at once, without looking first."""

    async def lease(self, *, single: int, batch: int, wait_s: float) -> list[Delivery]:
        self._turn += 1
        found = [] if self._empty and wait_s > 0 else await self._look(single, batch)
        if not found and wait_s > 0 and (single > 0 or batch > 0):
            found = await self._wait(min(single, 1), min(batch, 1), wait_s)
        return found

    async def _look(self, single: int, batch: int) -> list[Delivery]:
        """What waits: the single lanes of all shards first."""
        found: list[Delivery] = []
        for singles in (True, False):
            for shard in _in_turn(self._shards, self._turn):
                room = min(single if singles else batch, max(single, batch) - len(found))
                if room <= 0:
                    break
                counts = (room, 0) if singles else (0, room)
                lease = shard.broker.lease(single=counts[0], batch=counts[1], wait_s=0)
                found += await _soon(shard, lease, self._late)
        return found

    async def _wait(self, single: int, batch: int, wait_s: float) -> list[Delivery]:
        """One blocking read per shard; the first that brings something ends the others."""
        loop, began = asyncio.get_running_loop(), time.monotonic()
        reads = {
            loop.create_task(shard.broker.lease(single=single, batch=batch, wait_s=wait_s)): shard
            for shard in _in_turn(self._shards, self._turn)
        }
        if not reads:
            raise BrokerUnavailable(f"none of {len(self._shards)} shards answers")
        try:
            await _first(reads, began + wait_s)
            done = await self._end(reads)
        except asyncio.CancelledError:
            for task, shard in reads.items():
                leave(task, shard, _give_back)
            raise
        good = [task for task in done if answered(reads[task], task)]
        found = [one for task in good for one in _marked(reads[task].number, task.result())]
        self._empty = all(shard.broker.lanes.seems_empty for shard in reads.values())
        return found

    async def _end(self, reads: Reads) -> set[asyncio.Task[Sequence[Delivery]]]:
        """Those reads that have ended, which is all of them unless a server is away."""
        give_up_at = time.monotonic() + PATIENCE_S
        while (open_ := [task for task in reads if not task.done()]) and time.monotonic() < give_up_at:
            # Again and again: a read may be on its way to the server while it is told to end.
            for task in open_:
                reads[task].beside(reads[task].broker.lanes.unblock(self._first))
            await asyncio.wait(open_, timeout=_UNBLOCK_EVERY_S)
        return await settled(reads, 0, late=self._late.keep)


def _in_turn(shards: Shards, turn: int) -> Shards:
    """Those that answer, beginning with another one each turn."""
    first = turn % len(shards)
    return [shard for shard in shards[first:] + shards[:first] if shard.available]


async def _first(reads: Reads, until: float) -> None:
    """Wait until a read has brought a job, all have ended, or it is time."""
    open_ = set(reads)
    while open_:
        done, open_ = await asyncio.wait(
            open_, timeout=max(0.0, until - time.monotonic()), return_when=asyncio.FIRST_COMPLETED
        )
        if not done or any(not task.exception() and task.result() for task in done):
            return


async def _soon(
    shard: Shard[ShardWorkerBroker], call: Coroutine[Any, Any, Sequence[Delivery]], late: _Late
) -> list[Delivery]:
    """What one shard gives at once."""
    task = asyncio.get_running_loop().create_task(call)
    done = await settled({task: shard}, PATIENCE_S, late=late.keep)
    return _marked(shard.number, task.result()) if done and answered(shard, task) else []


async def _give_back(shard: Shard[ShardWorkerBroker], deliveries: Sequence[Delivery]) -> None:
    """Nobody waits any more for what was leased so late."""
    for delivery in deliveries:
        await shard.broker.release(delivery)


async def _hear(shard: Shard[ShardWorkerBroker], heard: asyncio.Queue[str]) -> None:
    while True:
        try:
            async for job_id in shard.broker.cancellations():
                heard.put_nowait(job_id)
        except BrokerUnavailable:
            await asyncio.sleep(_PAUSE_S)


def _marked(number: int, deliveries: Sequence[Delivery]) -> list[Delivery]:
    return [replace(delivery, shard=number) for delivery in deliveries]
