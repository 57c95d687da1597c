"""The least HTTP/1.1 client that measures honestly: keep-alive, one request in flight, a length or chunks.

It shares its cores with what it measures, so it does nothing a load generator does not need.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple, cast


class Response(NamedTuple):
    code: int
    body: bytes
    keep_alive: bool


class ProtocolViolation(Exception):  # noqa: N818
    """The server answered something this client does not read (a body that ends with the connection)."""


class ResponseParser:
    """Bytes in, whole responses out, however the bytes were split."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Response | None:
        """Take the next bytes; the response if they complete one. Raises ProtocolViolation."""
        self._buffer += data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return None
        head = bytes(self._buffer[:head_end]).lower()
        read = _chunks if b"\r\ntransfer-encoding: chunked" in head else _of_length
        if (found := read(self._buffer, head_end + 4, head)) is None:
            return None
        body, end = found
        del self._buffer[:end]
        return Response(int(head[9:12]), body, b"\r\nconnection: close" not in head)


def _of_length(buffer: bytearray, start: int, head: bytes) -> tuple[bytes, int] | None:
    """Body and its end, by the header in a lower-cased head; None if it is not all there."""
    _, found, rest = head.partition(b"\r\ncontent-length:")
    if not found:
        raise ProtocolViolation(head.split(b"\r\n", 1)[0])
    end = start + int(rest.split(b"\r\n", 1)[0])
    return None if len(buffer) < end else (bytes(buffer[start:end]), end)


def _chunks(buffer: bytearray, start: int, _head: bytes) -> tuple[bytes, int] | None:
    """Body and its end, of chunks without trailers; None if they are not all there."""
    body = bytearray()
    while (line_end := buffer.find(b"\r\n", start)) >= 0:
        size, start = int(bytes(buffer[start:line_end]), 16), line_end + 2
        if len(buffer) < start + size + 2:
            return None
        body += buffer[start : start + size]
        start += size + 2
        if not size:
            return bytes(body), start
    return None


class Connection(asyncio.Protocol):
    """One kept-alive connection. Opens itself when it is not open; never retries a request."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._parser = ResponseParser()
        self._transport: asyncio.Transport | None = None
        self._reply: asyncio.Future[Response] | None = None

    async def open(self) -> None:
        """Connect, unless connected. Raises OSError."""
        if self._transport is None:
            self._parser = ResponseParser()
            await asyncio.get_running_loop().create_connection(lambda: self, *self._address)

    async def request(self, payload: bytes) -> Response:
        """Send the bytes of one request and read its response. Raises OSError, ProtocolViolation."""
        if self._transport is None:
            await self.open()
        self._reply = asyncio.get_running_loop().create_future()
        cast("asyncio.Transport", self._transport).write(payload)
        response = await self._reply
        if not response.keep_alive:
            self.close()
        return response

    def close(self) -> None:
        """Forget the connection at once; what was in flight is lost."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            response = self._parser.feed(data)
        except ProtocolViolation as error:
            self._settle(error)
            self.close()
            return
        if response is not None:
            self._settle(response)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._settle(exc or ConnectionResetError("the server closed the connection"))

    def _settle(self, outcome: Response | Exception) -> None:
        reply, self._reply = self._reply, None
        if reply is None or reply.done():
            return
        if isinstance(outcome, Exception):
            reply.set_exception(outcome)
        else:
            reply.set_result(outcome)
