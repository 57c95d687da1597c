"""Blocks: many small values as one compressed one, kept in a stream whose ids are numbers of values.

A block's bytes are in the stream itself, or in an archive, and the stream has their name. Since the id of a block is
the number of its first value, the block of any number is one reverse read away.
"""

from __future__ import annotations

import asyncio
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from jobs.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Final

    from jobs.batches.archive import Archive
    from jobs.connect import Client

MOST: Final = 256
"""Values in a block."""
MOST_BYTES: Final = 1 << 20
"""A block that has grown to this is closed: who reads one value holds the whole block."""
_LEVEL = 1

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[bytes]).decode


class Block(NamedTuple):
    """Values with consecutive numbers."""

    first: int
    values: list[bytes]

    @property
    def end(self) -> int:
        """One past the number of the last."""
        return self.first + len(self.values)


class Filling:
    """Collects values until they are a block."""

    def __init__(self, first: int) -> None:
        self.first = first
        self.values: list[bytes] = []
        self._size_bytes = 0

    def add(self, value: bytes) -> bool:
        """Take one more; whether the block is full now."""
        self.values.append(value)
        self._size_bytes += len(value)
        return len(self.values) >= MOST or self._size_bytes >= MOST_BYTES


async def write(values: Sequence[bytes], archive: Archive | None, name: str) -> tuple[str, bytes]:
    """Field and value for the stream; the bytes are in the archive by then if there is one."""
    data = await asyncio.to_thread(lambda: zlib.compress(_encode(values), _LEVEL))
    if archive is None:
        return "b", data
    await archive.put(name, data)
    return "u", name.encode()


async def read(client: Client, stream: str, number: int, archive: Archive | None) -> Block | None:
    """Block that holds the value of this number; None if there is none. Raises ArchiveError."""
    found: Any = await client.xrevrange(stream, f"{number}-0", "-", count=1)
    if not found:
        return None
    entry_id, fields = found[0]
    block = Block(int(entry_id.partition(b"-")[0]), await _values(fields, archive))
    return block if number < block.end else None


async def _values(fields: Mapping[bytes, bytes], archive: Archive | None) -> list[bytes]:
    data = fields.get(b"b")
    if data is None:
        if archive is None:
            raise ArchiveError("this batch was spilled, and this process has no EVAL_BATCH_STORE")
        data = await archive.get(fields[b"u"].decode())
    return await asyncio.to_thread(lambda: _decode(zlib.decompress(data)))
