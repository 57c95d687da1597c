"""A way to Redis on which replies get lost: the server has done what was asked, and the connection breaks.

redis-py then sends the command again, so every script may run twice where its caller called it once.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from importlib.resources import files
from typing import TYPE_CHECKING

from redis.asyncio import Redis

from jobs.connect import connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from jobs.connect import Connections

_CHUNK_BYTES = 1 << 16
_MOST = 8
"""Replies that are lost to one script: each costs a pause and a new connection."""


class Lossy:
    """Loses the first reply to each of the first calls of the scripts in `loses`; `lost` counts them by name."""

    def __init__(self, server: Path, loses: frozenset[str]) -> None:
        self._server, self._loses = server, loses
        self._names: dict[bytes, str] = {}
        self._sent_again: set[str] = set()
        self.lost = dict.fromkeys(loses, 0)

    async def load(self) -> None:
        """Have the server know every script: a reply that says it does not is not one to lose."""
        async with Redis(unix_socket_path=str(self._server)) as client:
            for name in self._loses:
                text = (files("jobs") / "scripts" / f"{name}.lua").read_text()
                self._names[(await client.script_load(text)).encode()] = name

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, to its end."""
        answers, asks = await asyncio.open_unix_connection(self._server)
        doomed = asyncio.Event()

        async def forth() -> None:
            while data := await reader.read(_CHUNK_BYTES):
                if self._is_to_lose(data):
                    doomed.set()
                asks.write(data)

        async def back() -> None:
            while (data := await answers.read(_CHUNK_BYTES)) and not doomed.is_set():
                writer.write(data)

        ways = {asyncio.ensure_future(forth()), asyncio.ensure_future(back())}
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            for end in (asks, writer):
                end.close()
                with suppress(OSError):
                    await end.wait_closed()

    def _is_to_lose(self, data: bytes) -> bool:
        """Whether this begins a call that was not made before. Calls of one script follow each other."""
        name = next((name for sha, name in self._names.items() if sha in data), None)
        if name is None or name in self._sent_again or self.lost[name] == _MOST:
            self._sent_again.discard(name or "")
            return False
        self._sent_again.add(name)
        self.lost[name] += 1
        return True


@asynccontextmanager
async def _lossy(server: Path, loses: frozenset[str]) -> AsyncIterator[tuple[Connections, Lossy]]:
    way, socket = Lossy(server, loses), server.with_name("lossy")
    await way.load()
    listening = await asyncio.start_unix_server(way.serve, socket)
    connections = connect(f"unix://{socket}")
    try:
        yield connections, way
    finally:
        await connections.aclose()
        listening.close()
        socket.unlink(missing_ok=True)


def lossy(server: Path, *loses: str) -> AbstractAsyncContextManager[tuple[Connections, Lossy]]:
    """Connections to the server's socket by such a way."""
    return _lossy(server, frozenset(loses))
