"""Reads one output pipe of a cell while the program runs: bounded, never blocking, never lossy up to its bound."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PIPE_BYTES = 1 << 16
_buffer = memoryview(bytearray(PIPE_BYTES))
"""For every read of this process: nothing awaits between a read and the copy of what came."""


class Capture:
    """Collects up to `bound` bytes from `fd`, which it owns. Knows end of file from silence."""

    def __init__(self, fd: int, on_end: Callable[[], None], on_overflow: Callable[[], None]) -> None:
        self.bound = 1 << 20
        self.truncated = False
        self.ended = False
        self.on_chunk: Callable[[bytes], None] | None = None
        """Called with every chunk that is kept, as it comes."""
        self._fd = fd
        self._data = bytearray()
        self._on_end, self._on_overflow = on_end, on_overflow
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(fd, self._readable)

    @property
    def data(self) -> bytes:
        """What was kept so far."""
        return bytes(self._data)

    def close(self) -> None:
        """Stop reading; whatever the pipe still holds is dropped."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def forget(self) -> None:
        """Let go of what was kept, once closed: its owner may be in a circle that the collector finds much later."""
        self._data = bytearray()

    def _readable(self) -> None:
        try:
            size = os.readv(self._fd, [_buffer])
        except BlockingIOError:
            return
        if not size:
            self.close()
            self.ended = True
            self._on_end()
        elif self.truncated:
            return  # drained and dropped, so that a killed program's pipe can empty
        else:
            self._keep(size)

    def _keep(self, size: int) -> None:
        kept = _buffer[: min(size, self.bound - len(self._data))]
        self._data += kept
        if self.on_chunk is not None and kept:
            self.on_chunk(bytes(kept))
        if len(kept) < size:
            self.truncated = True
            self._on_overflow()
