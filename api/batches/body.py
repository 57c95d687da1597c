"""The body of a batch as it comes: decompressed, cut into lines, bounded; never held as a whole."""

from __future__ import annotations

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
_PIECE_BYTES = 1 << 20
"""Most that one step of decompression gives: a bomb is noticed before it has gone off."""
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

    async def pieces(self) -> AsyncIterator[bytes]:
        """Plain bytes as they come. Raises TooLarge, InvalidRequest (no gzip), ClientDisconnect."""
        taken_bytes = 0
        async for piece in _unzipped(self._raw()) if self._is_gzip else self._raw():
            taken_bytes += len(piece)
            if taken_bytes > self._bound_bytes:
                raise TooLarge(field="body", bound_bytes=self._bound_bytes)
            yield piece

    async def lines(self, *, bound_bytes: int) -> AsyncIterator[tuple[int, bytes]]:
        """Lines that are not blank, each with its number from 1. Raises as `pieces`; TooLarge for a line as well."""
        held, held_bytes, number = list[bytes](), 0, 0
        async for piece in self.pieces():
            begun, *others = piece.split(b"\n")
            held.append(begun)
            held_bytes += len(begun)
            for other in others:
                number += 1
                if (line := b"".join(held)) and not line.isspace():
                    yield number, line
                held, held_bytes = [other], len(other)
            if held_bytes > bound_bytes:
                raise TooLarge(field=f"line {number + 1}", bound_bytes=bound_bytes)
        if (line := b"".join(held)) and not line.isspace():
            yield number + 1, line

    async def drain(self) -> None:
        """Read the rest unseen, up to the bound: a client that still sends would not read our answer."""
        taken_bytes = 0
        async for piece in self._raw():
            taken_bytes += len(piece)
            if taken_bytes > self._bound_bytes:
                return

    async def _raw(self) -> AsyncIterator[bytes]:
        while not self._over:
            message = await self._receive()
            if message["type"] != "http.request":
                raise ClientDisconnect
            self._over = not message.get("more_body", False)
            yield message.get("body", b"")


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
                plain = member.decompress(data, _PIECE_BYTES)
                data = member.unconsumed_tail or member.unused_data
                more = len(plain) == _PIECE_BYTES and not member.eof
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
