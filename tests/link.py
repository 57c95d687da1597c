"""A network between us and a server: it resets connections, leads elsewhere, and may be slow."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

_RESET = struct.pack("ii", 1, 0)


class Link:
    """TCP on loopback to the unix socket `target`, which may be changed for connections to come."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.pause_s = 0.0
        """For each 64 KiB, in both directions."""
        self.slow_bytes = 1 << 60
        """So many are slow, and then no more."""
        self._near: list[asyncio.StreamWriter] = []
        self._pumps: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        door = socket.socket()
        # Small: what is in a kernel's buffer has arrived for its sender, and a full big one is emptied in big steps.
        door.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 128 << 10)
        door.bind(("127.0.0.1", 0))
        self._server = await asyncio.start_server(self._join, sock=door)
        self.url = f"redis://127.0.0.1:{door.getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for pump in list(self._pumps):
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    def reset(self) -> None:
        """End every connection as a load balancer does that has forgotten it."""
        for writer in self._near:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()
        self._near.clear()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_unix_connection(self.target)
        self._near.append(writer)
        for ends in ((reader, far_writer), (far_reader, writer)):
            pump = asyncio.get_running_loop().create_task(self._pump(*ends))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(64 << 10):
                self.slow_bytes -= len(data)
                if self.slow_bytes > 0 and self.pause_s:
                    await asyncio.sleep(self.pause_s * len(data) / (64 << 10))
                writer.write(data)
                await writer.drain()
        except (OSError, RuntimeError):
            pass  # the one end is gone, so the other goes
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
