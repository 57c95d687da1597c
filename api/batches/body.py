"""The body of a batch as it comes: decompressed, cut into lines, bounded; never held as a whole.

Small bodies may be much work: 300 KB of gzip are 300 MB of line ends. So pieces are small, others have a turn after
each, and what is no item is bounded.
"""

from __future__ import annotations

import asyncio
import zlib
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect

from api.errors import FieldError, InvalidRequest, TooLarge, WrongMediaType

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from typing import Final

    from starlette.types import Receive, Scope

LINES: Final = frozenset({b"application/jsonl", b"application/x-ndjson", b"application/x-jsonlines"})
DOCUMENT: Final = b"application/json"
PIECE_BYTES: Final = 1 << 16
"""Plain bytes between two looks at who else waits: some milliseconds of work, if all of them are line ends. A bomb is
noticed before it has gone off."""
BLANK_BYTES: Final = 4 << 20
"""Of all blank lines together: one behind each item of the largest batch is less."""
_GZIP = 16 + zlib.MAX_WBITS


class Body:
    """One request's body. What its head says is checked at once: raises WrongMediaType, TooLarge."""

    def __init__(self, scope: Scope, receive: Receive, *, bound_bytes: int) -> None:
        self._receive, self._bound_bytes = receive, bound_bytes
        self.is_lines, self._is_gzip = _kind(scope["headers"])
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if announced.isdigit() and int(announced[:20]) > bound_bytes:
            raise TooLarge(field="body", bound_bytes=bound_bytes)
        self._over = False
        self._raw_bytes = 0

    async def pieces(self) -> AsyncIterator[bytes]:
        """Plain bytes as they come, few at a time.

        Raises TooLarge, InvalidRequest (no gzip), ClientDisconnect, and what `receive` does.
        """
        cut, taken_bytes = _cut(self._raw()), 0
        async for piece in _unzipped(cut) if self._is_gzip else cut:
            taken_bytes += len(piece)
            # Of a gzip both count: it may be as long as it likes and hold nothing.
            if max(taken_bytes, self._raw_bytes) > self._bound_bytes:
                raise TooLarge(field="body", bound_bytes=self._bound_bytes)
            yield piece
            await asyncio.sleep(0)

    async def lines(self, *, bound_bytes: int) -> AsyncIterator[tuple[int, bytes]]:
        """Lines that are not blank, each with its number from 1. Raises as `pieces`; TooLarge for a line as well."""
        held, held_bytes, number, blank_bytes = list[bytes](), 0, 0, 0
        async for piece in self.pieces():
            begun, *others = piece.split(b"\n")
            held.append(begun)
            held_bytes += len(begun)
            for other in others:
                number += 1
                if (line := b"".join(held)) and not line.isspace():
                    yield number, line
                else:
                    blank_bytes += len(line) + 1
                held, held_bytes = [other], len(other)
            if blank_bytes > BLANK_BYTES:
                raise TooLarge(field="blank lines", bound_bytes=BLANK_BYTES)
            if held_bytes > bound_bytes:
                raise TooLarge(field=f"line {number + 1}", bound_bytes=bound_bytes)
        if (line := b"".join(held)) and not line.isspace():
            yield number + 1, line

    async def drain(self) -> None:
        """Read the rest unseen, up to the bound: a client that still sends would not read our answer."""
        async for _ in self._raw():
            if self._raw_bytes > self._bound_bytes:
                return

    async def _raw(self) -> AsyncIterator[bytes]:
        while not self._over:
            self._over = True  # whoever hung up or stood still is not waited for again
            message = await self._receive()
            if message["type"] != "http.request":
                raise ClientDisconnect
            self._over = not message.get("more_body", False)
            piece = message.get("body", b"")
            self._raw_bytes += len(piece)
            yield piece


async def _cut(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for piece in pieces:
        for start in range(0, len(piece), PIECE_BYTES):
            yield piece[start : start + PIECE_BYTES]


async def _unzipped(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Plain bytes of one or more gzip members."""
    member = zlib.decompressobj(_GZIP)
    begun = False
    try:
        async for piece in pieces:
            data, more = piece, False
            while data or more:
                if member.eof:
                    member = zlib.decompressobj(_GZIP)
                begun = True
                plain = member.decompress(data, PIECE_BYTES)
                data = member.unconsumed_tail or member.unused_data
                more = len(plain) == PIECE_BYTES and not member.eof
                yield plain
    except zlib.error:
        raise InvalidRequest([FieldError("body", "is not gzip, though Content-Encoding says so")]) from None
    if begun and not member.eof:
        raise InvalidRequest([FieldError("body", "is cut off: the gzip stream does not end")])


def _kind(headers: Iterable[tuple[bytes, bytes]]) -> tuple[bool, bool]:
    """Whether it is JSON Lines, and whether it is gzip. Raises WrongMediaType."""
    named = {name: value.strip().lower() for name, value in headers if name in (b"content-type", b"content-encoding")}
    media_type = named.get(b"content-type", b"").partition(b";")[0].strip()
    coding = named.get(b"content-encoding", b"identity")
    if (media_type not in LINES and media_type != DOCUMENT) or coding not in (b"identity", b"gzip", b"x-gzip"):
        raise WrongMediaType(batch=True)
    return media_type in LINES, coding != b"identity"
