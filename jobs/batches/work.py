"""What a coordinator does with one batch: take it over, put items on their lanes, wait for completions, pack results.

Every change asks for the fence that taking the batch over gave; a twin that lost it changes nothing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec

from jobs import wire
from jobs.batches import blocks
from jobs.batches.model import BatchState
from jobs.batches.results import encode_line, line_of, piece_of
from jobs.connect import redis_errors
from jobs.errors import BrokerFull, WireError
from jobs.keys import Keys
from jobs.model import Lane
from jobs.scripts import Script

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobs.batches.blocks import Block
    from jobs.batches.store import BatchStore
    from jobs.connect import Connections
    from jobs.model import Job
    from jobs.settings import BrokerSettings


_NOT_YET = b"\0\0\0\0"


class Submitted(StrEnum):
    """What became of putting items on their lanes."""

    OK = "ok"
    FULL = "full"
    """A lane is at its bound, or Redis at its memory's; the rest has to wait."""
    FENCED = "fenced"
    """Another coordinator took over."""
    CLOSED = "closed"
    """The batch was ended; nothing more may run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a batch is."""

    state: BatchState
    ours: bool
    """No other coordinator took over."""
    completed: int


class Work:
    """One batch, taken over."""

    def __init__(
        self,
        connections: Connections,
        settings: BrokerSettings,
        store: BatchStore,
        batch_id: str,
        *,
        fence: int,
        total: int,
    ) -> None:
        self._redis, self._reads = connections.commands, connections.reads
        self._store, self.id, self._fence = store, batch_id, str(fence)
        self.total = total
        self._names = store.names(batch_id)
        self._keys = Keys(settings.prefix)
        self._bound = settings.lane_bounds[Lane.BATCH]
        self._submit, self._pack = Script("batch_submit"), Script("batch_pack")
        self._heard = "0-0"
        self._block: Block | None = None
        self._packed: int | None = None

    async def progress(self) -> Progress:
        """Look how far it is."""
        with redis_errors():
            found: Any = await self._redis.hmget(self._names.batch, ["state", "fence", "completed"])
        state, fence, completed = found
        known = BatchState(state.decode()) if state else BatchState.CANCELLED  # expired under us: nothing is left to do
        return Progress(state=known, ours=fence == self._fence.encode(), completed=int(completed or 0))

    async def is_short(self) -> bool:
        """Whether Redis has little room left."""
        return await self._store.room.is_short()

    async def count_failure(self) -> int:
        """Note that a turn failed; gives how many did since an item was completed."""
        completed = (await self.progress()).completed
        with redis_errors():
            return int(await self._redis.hincrby(self._names.batch, f"failures:{completed}", 1))

    async def give_up(self, message: str) -> None:
        """End the batch as failed, if it is ours. The message is for the caller."""
        await self._store.end(self.id, BatchState.FAILED, message, fence=self._fence)

    async def submitted(self) -> bytes:
        """Bitmap of the items that are on a lane or done, highest bit first."""
        with redis_errors():
            found: Any = await self._redis.get(self._names.submitted)
        return bytes(found or b"")

    async def job(self, index: int) -> Job:
        """Item of this index. Raises ArchiveError, WireError."""
        number, block = index + 1, self._block
        if block is None or not block.first <= number < block.end:
            with redis_errors():
                block = await blocks.read(self._redis, self._names.items, number, self._store.archive)
            if block is None:
                raise WireError(f"batch {self.id} has no item {index}")
            self._block = block
        return wire.decode_job(block.values[number - block.first])

    async def submit(self, jobs: Sequence[Job]) -> tuple[Submitted, int]:
        """Put items on the lanes of their environments, each unless it was before; gives how many were dealt with."""
        environments = sorted({job.environment for job in jobs})
        args: list[Any] = [self._fence, self._bound, *environments]
        now = time.time()
        for job in jobs:
            args += [environments.index(job.environment), job.index, wire.encode(replace(job, submitted_at=now))]
        names = [self._names.batch, self._names.submitted, self._names.order, self._keys.environments]
        names += map(self._lane, environments)
        try:
            with redis_errors():
                word, dealt = await self._submit(self._redis, names, args)
        except BrokerFull:
            return Submitted.FULL, 0
        return Submitted(word.decode()), dealt

    async def wait(self, completions: int, *, block_s: float) -> bool:
        """Wait until so many are complete, something else happened (then True), or `block_s` passed."""
        streams: Any = {self._names.results: f"{completions - 1}-0", self._names.calls: self._heard}
        with redis_errors():
            reply: Any = await self._reads.xread(streams, count=1, block=max(1, round(block_s * 1000)))
        calls = reply.get(self._names.calls.encode(), ())
        if calls:
            self._heard = calls[-1][0].decode()
        return bool(calls)

    async def lanes_empty(self) -> bool:
        """Whether nothing waits or runs on any lane that items of the batch may be on."""
        with redis_errors():
            found: Any = await self._redis.hget(self._names.batch, "environments")
            own = msgspec.json.decode(found or b"[]", type=list[str])
            return bool(own) and not any([await self._redis.xlen(self._lane(name)) for name in own])

    def _lane(self, environment: str) -> str:
        return self._keys.lane(Lane.BATCH, environment)

    async def forget_lost(self) -> None:
        """Items that were submitted and have no result count as not submitted."""
        with redis_errors():
            order: Any = await self._redis.get(self._names.order) or b""
            async with self._redis.pipeline() as step:
                for index in range(len(order) // 4):
                    if order[index * 4 : index * 4 + 4] == _NOT_YET:
                        step.setbit(self._names.submitted, index, 0)
                await step.execute()

    async def pack(self, completed: int, *, keep: int) -> None:
        """Pack what completed, but for the latest `keep` or more. Raises ArchiveError."""
        while completed - (before := await self._packed_so_far()) >= blocks.MOST + keep:
            self._packed = None  # if no answer comes, it may have been done or not
            packed = await self._pack_from(before + 1)
            if not packed:
                return
            self._packed = before + packed

    async def _packed_so_far(self) -> int:
        """Completions that are packed: all before the oldest that is not."""
        if self._packed is None:
            with redis_errors():
                oldest: Any = await self._redis.xrange(self._names.results, "-", "+", count=1)
            self._packed = _number(oldest[0][0]) - 1 if oldest else 0
        return self._packed

    async def _pack_from(self, first: int) -> int:
        """Pack results from this completion on; gives how many, 0 if another coordinator took over."""
        with redis_errors():
            largest: Any = await self._redis.hget(self._names.batch, "largest")
            count = piece_of(int(largest or 1))
            entries: Any = await self._redis.xrange(self._names.results, f"{first}-0", "+", count=count)
        values = [encode_line(line_of(fields)) for _, fields in entries]
        field, value = await blocks.write(values, self._store.archive, f"{self.id}/results-{first}")
        names = [self._names.batch, self._names.results, self._names.packs]
        with redis_errors():
            done = await self._pack(self._redis, names, [self._fence, first, first + len(values), field, value])
        return len(values) if done else 0


def _number(entry_id: bytes) -> int:
    return int(entry_id.partition(b"-")[0])


async def take_over(
    connections: Connections, settings: BrokerSettings, store: BatchStore, batch_id: str
) -> Work | BatchState | None:
    """Become the batch's coordinator; its state if nothing is left to coordinate; None if there is no batch."""
    names = store.names(batch_id)
    with redis_errors():
        word, fence, total = await Script("batch_begin")(
            connections.commands, [names.batch, names.calls], [f"{time.time():.6f}"]
        )
    if word == b"missing":
        return None
    state = BatchState(word.decode())
    if state is not BatchState.RUNNING:
        return state
    return Work(connections, settings, store, batch_id, fence=fence, total=total)
