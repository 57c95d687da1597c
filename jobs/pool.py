"""Connections to Redis as redis-py makes them, with the steps that every command takes made short.

Behind one eval stand four commands, and redis-py spends more on each than the server does. What is rare (connecting,
TLS, authentication, retries, time-outs, health checks) is left to it. Figures: docs/adr/0032-short-way-to-redis.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis.asyncio import BlockingConnectionPool, Connection, SSLConnection, UnixDomainSocketConnection
from redis.connection import HiredisRespSerializer
from redis.exceptions import ConnectionError  # noqa: A004  the one that redis-py tries again

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from redis.asyncio.connection import AbstractConnection as Base
else:
    Base = object

_SHORT_BYTES = 64 << 10
"""Commands up to here are written at once: as much as a transport holds before it asks its writer to wait."""
_pack = HiredisRespSerializer().pack


class _Short(Base):
    """Mixed into a connection: a command is packed in C and, if it is short, written without a task of its own.

    One command at a time is under way on a connection. The wait for its answer has the same time-out as the write would
    have, so nothing is lost by not waiting for that too.
    """

    def pack_command(self, *args: Any) -> list[bytes]:
        return list(_pack(*args))

    async def send_packed_command(
        self,
        command: bytes | str | Iterable[bytes],
        check_health: bool = True,  # noqa: FBT001, FBT002  as its base
    ) -> None:
        if not self.is_connected or not isinstance(command, list) or sum(map(len, command)) > _SHORT_BYTES:
            await super().send_packed_command(command, check_health=check_health)
            return
        if check_health:
            await self.check_health()  # type: ignore[no-untyped-call]
        if self._writer is None:
            raise ConnectionError("the connection was lost")
        self._writer.writelines(command)


class _Tcp(_Short, Connection):
    pass


class _Tls(_Short, SSLConnection):
    pass


class _Unix(_Short, UnixDomainSocketConnection):
    pass


_SHORT = {Connection: _Tcp, SSLConnection: _Tls, UnixDomainSocketConnection: _Unix}


class Pool(BlockingConnectionPool):
    """Hands out what is free and connected without a lock; for the rest one waits in line, as its base does it."""

    def __init__(self, *, connection_class: type[Base] = Connection, **options: Any) -> None:
        super().__init__(connection_class=_SHORT[connection_class], **options)
        self._in_line = 0

    async def get_connection(self, *_: Any, **__: Any) -> Base:
        """Take a connection that is ready for a command. Raises ConnectionError if none is in time."""
        if self._available_connections and not self._in_line:
            connection = self._available_connections[-1]
            if connection.is_connected and not await _has_news(connection):
                self._in_use_connections.add(self._available_connections.pop())
                return connection
        self._in_line += 1
        try:
            taken: Base = await super().get_connection()  # type: ignore[no-untyped-call]
            return taken
        finally:
            self._in_line -= 1

    async def release(self, connection: Base) -> None:
        """Give it back."""
        if self._in_line or connection.should_reconnect():  # type: ignore[no-untyped-call]
            await super().release(connection)
        else:
            self._in_use_connections.remove(connection)
            self._available_connections.append(connection)


async def _has_news(connection: Base) -> bool:
    """Whether something is in it that nobody asked for, or its end. Looks only; others do not get their turn."""
    try:
        return bool(await connection.can_read())
    except (OSError, ConnectionError):
        return True
