"""HTTP as uvicorn speaks it, with bounds for what comes before any token, and deaf to offers of other protocols.

Bounded in bytes and time: a request's head, and a body that comes in although its request has its answer. (A body that
somebody reads is `edge`'s to bound.) A connection on which nothing is due ends after the keep-alive time.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.edge import WHOLE

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

HEAD_BYTES: Final = 64 << 10
"""Of request line and headers, give or take what two reads bring."""
HEAD_S: Final = 20.0
"""From a connection's begin, or a head's first byte, to its end."""
UNREAD_BYTES: Final = 64 << 20
UNREAD_S: Final = 10.0
"""Of a body that comes after its answer. Most clients read an answer only when they have sent everything."""
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class BoundedProtocol(HttpToolsProtocol):
    """Answers 431 to a head without end; hangs up on a head that does not come, and on an answered body without end."""

    _is_head = True
    _head_bytes = 0
    _has_begun = False
    """In the piece that is being read, which may hold the end of a body too."""
    _is_whole = False
    """The latest request, its body included."""
    _unread_bytes = 0
    _late: asyncio.TimerHandle | None = None
    _piece = b""
    _offered = b""
    """What is to be read once more, without the offer of another protocol that it had."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._wait(HEAD_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, unless earlier pieces of this head, or of a body that nobody reads, were too many."""
        if self._is_head and self._head_bytes > HEAD_BYTES:
            self.transport.write(_TOO_LARGE)
            self.transport.close()
            return
        if self._is_answered and not self._is_whole:
            self._unread_bytes += len(data)
            if self._unread_bytes > UNREAD_BYTES:
                self.transport.close()
                return
        self._has_begun = False
        self._feed(data)
        if self._is_head:
            self._head_bytes += 0 if self._has_begun else len(data)
        if self._late is None and self.timeout_keep_alive_task is None and (self._is_head or self._is_answered):
            self._wait(HEAD_S)  # for a head of which there is something, be it a line end that means nothing

    def _feed(self, data: bytes) -> None:
        while data:
            self._piece, self._offered = data, b""
            super().data_received(data)
            data = self._offered
        self._piece = b""

    def on_message_begin(self) -> None:
        """Of the next request of a connection."""
        self._is_head, self._has_begun, self._head_bytes = True, True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is over; a body has bounds of its own."""
        self._is_head = self._is_whole = False
        self._stop_waiting()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The body is over; if it has its answer already, nothing is due."""
        self._is_whole = True
        self.scope[WHOLE] = True  # type: ignore[literal-required]
        super().on_message_complete()
        if self._is_answered:
            self._stop_waiting()
            self._keep()

    def on_response_complete(self) -> None:
        """Wait for the next request, or for the end of this one, which nobody reads."""
        super().on_response_complete()
        if self._is_answered and not self._is_whole:
            self._unset_keepalive_if_required()
            self._unread_bytes = 0
            self._wait(UNREAD_S)

    def _should_upgrade(self) -> bool:
        # Every offer is handled below. httptools takes a head with one for a request without a body.
        return True

    def handle_websocket_upgrade(self) -> None:
        """Ignore the offer (RFC 9110, 7.8): the same request again, without it. HttpParserUpgrade is being caught."""
        offer, method = sys.exception(), self.parser.get_method()
        if not isinstance(offer, httptools.HttpParserUpgrade) or method == b"CONNECT":
            self.send_400_response("Invalid HTTP request received.")
            return
        head = [b"%b %b HTTP/%b" % (method, self.url, self.parser.get_http_version().encode())]
        head += [b"%b: %b" % header for header in _without_offer(self.headers)]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._offered = b"\r\n".join([*head, b"", self._piece[offer.args[0] :]])

    @property
    def _is_answered(self) -> bool:
        return self.cycle is not None and self.cycle.response_complete

    def _keep(self) -> None:
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        self._late = self.loop.call_later(seconds, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


def _without_offer(headers: Iterable[tuple[bytes, bytes]]) -> Iterable[tuple[bytes, bytes]]:
    for name, value in headers:
        if name == b"connection":
            words = [word for part in value.split(b",") if (word := part.strip()).lower() not in _OFFER]
            if words:
                yield name, b", ".join(words)
        elif name not in _OFFER:
            yield name, value


_OFFER = frozenset({b"upgrade", b"http2-settings"})
