"""Results of a batch, read in either order, a bounded piece at a time."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from jobs.batches import blocks
from jobs.connect import redis_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jobs.batches.blocks import Block
    from jobs.batches.store import BatchStore

_PIECE_BYTES = 4 << 20
_SLOTS = struct.Struct(">I").iter_unpack


class Line(NamedTuple):
    """A result as it is stored."""

    place: int
    """Of its item in the batch, from 0."""
    custom_id: str
    status: str
    result: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """A line and the how-manieth it completed, from 1."""

    cursor: int
    line: Line


encode_line = msgspec.msgpack.Encoder().encode
decode_line = msgspec.msgpack.Decoder(Line).decode


def piece_of(largest_bytes: int) -> int:
    """Results that surely fit into a piece, if the largest is this large."""
    return max(1, min(blocks.MOST, _PIECE_BYTES // largest_bytes))


def line_of(fields: dict[bytes, bytes]) -> Line:
    """Line in an entry of the results stream."""
    return Line(int(fields[b"i"]), fields[b"c"].decode(), fields[b"s"].decode(), fields[b"r"])


class Results:
    """Reads one batch's results. Holds one piece: at most 4 MiB, or one result, or one block."""

    def __init__(self, store: BatchStore, batch_id: str) -> None:
        self._store, self._names = store, store.names(batch_id)
        self._block: Block | None = None

    async def after(self, cursor: int) -> Sequence[Completed]:
        """Results that completed next after this one; none if there is none yet. Raises ArchiveError."""
        first = cursor + 1
        entries = await self._entries(first, count=await self._count())
        if entries and entries[0].cursor == first:
            return entries
        block = await self._packed(first)
        if block is None:
            # Between the two reads the results may have been packed; or there are no more.
            return [] if not entries else await self.after(cursor)
        lines = block.values[first - block.first :]
        return [Completed(cursor=number, line=decode_line(line)) for number, line in enumerate(lines, first)]

    async def in_order(self, index: int) -> Sequence[Completed | None]:
        """Results of the items from this index on; None for one that has none yet. None at all: past the end."""
        count = await self._count()
        with redis_errors():
            slots: Any = await self._store.redis.getrange(self._names.order, index * 4, (index + count) * 4 - 1)
        numbers = [number for (number,) in _SLOTS(slots[: len(slots) // 4 * 4])]
        found = {one.cursor: one for one in await self._some([number for number in numbers if number])}
        return [found.get(number) for number in numbers]

    async def _some(self, numbers: Sequence[int]) -> Iterable[Completed]:
        with redis_errors():
            async with self._store.redis.pipeline(transaction=False) as step:
                for number in numbers:
                    step.xrange(self._names.results, f"{number}-0", f"{number}-0")
                replies = await step.execute() if numbers else []
        found = [
            Completed(cursor=number, line=line_of(entries[0][1]))
            for number, entries in zip(numbers, replies, strict=True)
            if entries
        ]
        packed = sorted(set(numbers) - {one.cursor for one in found})
        return [*found, *[one for number in packed if (one := await self._unpacked(number))]]

    async def _unpacked(self, number: int) -> Completed | None:
        block = await self._packed(number)
        return block and Completed(cursor=number, line=decode_line(block.values[number - block.first]))

    async def _entries(self, first: int, *, count: int) -> list[Completed]:
        with redis_errors():
            found: Any = await self._store.redis.xrange(self._names.results, f"{first}-0", "+", count=count)
        return [Completed(cursor=int(entry_id.partition(b"-")[0]), line=line_of(fields)) for entry_id, fields in found]

    async def _packed(self, number: int) -> Block | None:
        """Block with this completion; the last one read is kept."""
        block = self._block
        if block is None or not block.first <= number < block.end:
            with redis_errors():
                block = await blocks.read(self._store.redis, self._names.packs, number, self._store.archive)
            self._block = block or self._block
        return block

    async def _count(self) -> int:
        """Results that surely fit into a piece."""
        with redis_errors():
            largest: Any = await self._store.redis.hget(self._names.batch, "largest")
        return piece_of(int(largest or 1))
