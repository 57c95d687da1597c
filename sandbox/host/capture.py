"""Reads one output pipe of a cell while the program runs: bounded, never blocking, never lossy up to its bound."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_CHUNK = 1 << 16
PIPE_BYTES = 1 << 16


class Capture:
    """Collects up to `bound` bytes from `fd`, which it owns. Knows end of file from silence."""

    def __init__(self, fd: int, on_end: Callable[[], None], on_overflow: Callable[[], None]) -> None:
        self.bound = 1 << 20
        self.truncated = False
        self.ended = False
        self.on_chunk: Callable[[bytes], None] | None = None
        """Called with every chunk that is kept, as it comes."""
        self._fd = fd
        self._chunks: list[bytes] = []
        self._size = 0
        self._on_end, self._on_overflow = on_end, on_overflow
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(fd, self._readable)

    @property
    def data(self) -> bytes:
        """What was kept so far."""
        return b"".join(self._chunks)

    def close(self) -> None:
        """Stop reading; whatever the pipe still holds is dropped."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _readable(self) -> None:
        try:
            chunk = os.read(self._fd, _CHUNK)
        except BlockingIOError:
            return
        if not chunk:
            self.close()
            self.ended = True
            self._on_end()
        elif self.truncated:
            return  # drained and dropped, so that a killed program's pipe can empty
        else:
            self._keep(chunk)

    def _keep(self, chunk: bytes) -> None:
        kept = chunk[: self.bound - self._size]
        self._chunks.append(kept)
        self._size += len(kept)
        if self.on_chunk is not None and kept:
            self.on_chunk(kept)
        if len(kept) < len(chunk):
            self.truncated = True
            self._on_overflow()
