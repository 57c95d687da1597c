"""HTTP as uvicorn speaks it, but with bounds of bytes and time for a request's head, which comes before any token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

HEAD_BYTES: Final = 64 << 10
"""Of request line and headers, give or take what two reads bring."""
HEAD_S: Final = 20.0
"""From a connection's begin, or a head's first byte, to its end."""
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class BoundedProtocol(HttpToolsProtocol):
    """Answers 431 to a head without end, and hangs up on one that does not come."""

    _is_head = True
    _head_bytes = 0
    _has_begun = False
    """In the piece that is being read, which may hold the end of a body too."""
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, unless earlier pieces of this head were too many."""
        if self._is_head and self._head_bytes > HEAD_BYTES:
            self.transport.write(_TOO_LARGE)
            self.transport.close()
            return
        self._has_begun = False
        super().data_received(data)
        if self._is_head:
            self._head_bytes += 0 if self._has_begun else len(data)
            if self._late is None:
                self._wait()

    def on_message_begin(self) -> None:
        """Of the next request of a connection."""
        self._is_head, self._has_begun, self._head_bytes = True, True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is over; a body has bounds of its own."""
        self._is_head = False
        self._stop_waiting()
        super().on_headers_complete()

    def _wait(self) -> None:
        self._stop_waiting()
        self._late = self.loop.call_later(HEAD_S, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
