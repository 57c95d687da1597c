"""Writes into a cell's pipe or socket as it is read there, and closes it at the end."""

from __future__ import annotations

import asyncio
import os


class Feed:
    """Owns the descriptor that it writes to."""

    def __init__(self, fd: int) -> None:
        self.complete = False
        """Whether all was written."""
        self._fd = fd
        self._rest = memoryview(b"")

    def start(self, data: bytes) -> None:
        """Write `data`, then end of file. Returns at once; what does not fit now follows when there is room."""
        self._rest = memoryview(data)
        self._write()
        if self._rest:
            asyncio.get_running_loop().add_writer(self._fd, self._write)

    def close(self) -> None:
        """Drop what was not read."""
        if self._fd >= 0:
            asyncio.get_running_loop().remove_writer(self._fd)
            os.close(self._fd)
            self._fd = -1
        self._rest = memoryview(b"")

    def _write(self) -> None:
        try:
            while self._rest:
                self._rest = self._rest[os.write(self._fd, self._rest) :]
            self.complete = True
        except BlockingIOError:
            return
        except ConnectionError:  # the program is gone or closed its stdin: its right
            pass
        self.close()
