"""Who may come in: bearer tokens, or (with none set) whoever asks under a loopback name."""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import TYPE_CHECKING

from api.errors import ForeignHost, Unauthorized

if TYPE_CHECKING:
    from collections.abc import Iterable

_LOOPBACK_NAMES = frozenset({b"localhost", b"127.0.0.1", b"[::1]"})
_ANYONE = b"\0" * 32


class Gate:
    """Keeps digests of the tokens only, so neither a repr nor a log line can hold a token."""

    def __init__(self, tokens: Iterable[str]) -> None:
        self._digests = tuple(sha256(token.encode()).digest() for token in tokens)

    def admit(self, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        """Digest that stands for the caller. Raises Unauthorized, ForeignHost."""
        if self._digests:
            return self._token(headers)
        host = next((value for name, value in headers if name == b"host"), b"localhost")
        if _without_port(host) not in _LOOPBACK_NAMES:
            raise ForeignHost
        return _ANYONE

    def _token(self, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        value = next((value for name, value in headers if name == b"authorization"), b"")
        scheme, _, token = value.partition(b" ")
        presented = sha256(token.strip()).digest()
        # All are compared, always: the time taken tells nothing about which token matched, or how far.
        matches = [hmac.compare_digest(presented, digest) for digest in self._digests]
        if scheme.lower() != b"bearer" or not any(matches):
            raise Unauthorized(presented=bool(value))
        return presented


def _without_port(host: bytes) -> bytes:
    name, colon, port = host.lower().rpartition(b":")
    return name if colon and port.isdigit() else host.lower()
