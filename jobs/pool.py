"""Connections to Redis as redis-py makes them, with the steps that every command takes made short.

Behind one eval stand four commands, and redis-py spends more on each than the server does. What is rare (connecting,
TLS, authentication, retries, time-outs, health checks) is left to it. Figures: docs/adr/0032-short-way-to-redis.md.
"""

from __future__ import annotations

import asyncio
import builtins
from typing import TYPE_CHECKING

from redis.asyncio import BlockingConnectionPool, Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.connection import DefaultParser
from redis.connection import HiredisRespSerializer
from redis.exceptions import ConnectionError, TimeoutError  # noqa: A004  those that redis-py tries again

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from redis._parsers import _AsyncHiredisParser as Parser
    from redis.asyncio.connection import AbstractConnection as Base
else:
    Base, Parser = object, DefaultParser

_SHORT_BYTES = 64 << 10
"""Commands up to here are written at once: as much as a transport holds before it asks its writer to wait."""
_BLOCK_BYTES = 256 << 10
"""Of a long command; each has the whole time-out."""
_pack = HiredisRespSerializer().pack


class NoMasterError(ConnectionError):
    """The server takes no writes (any more). A new connection may lead to the one that does."""


class _Parser(Parser):
    """Takes some replies for the end of a connection, and waits for a long one as long as more of it comes."""

    EXCEPTION_CLASSES = {  # noqa: RUF012 (as its base)
        **Parser.EXCEPTION_CLASSES,
        **dict.fromkeys(("READONLY", "MASTERDOWN", "NOREPLICAS"), NoMasterError),
    }

    _reader: Any
    _stream: Any

    def on_connect(self, connection: Any) -> None:
        super().on_connect(connection)  # type: ignore[no-untyped-call]
        self._connection = connection

    async def read_from_socket(self) -> bool:
        reader, stream = self._reader, self._stream
        if reader.has_data():  # of a reply of which the beginning is there
            self._connection.more_came()
        data = await stream.read(self._read_size)  # what its base does
        if not data:
            raise ConnectionError("Connection closed by server.")
        reader.feed(data)
        return True

    def has_news(self) -> bool:
        """What its base's `can_read` says, without a coroutine."""
        stream = self._stream
        return not self._connected or self._reader.has_data() or stream.at_eof() or bool(stream._buffer)  # noqa: SLF001


class _Short(Base):
    """Mixed into a connection: a command is packed in C and, if it is short, written without a task of its own.

    One command at a time is under way on a connection. The wait for its answer has the same time-out as the write would
    have, so nothing is lost by not waiting for that too.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(parser_class=_Parser, **options)

    def pack_command(self, *args: Any) -> list[bytes]:
        return list(_pack(*args))

    async def send_packed_command(
        self,
        command: bytes | str | Iterable[bytes],
        check_health: bool = True,  # noqa: FBT001, FBT002  as its base
    ) -> None:
        if not self.is_connected or not isinstance(command, list) or sum(map(len, command)) > _SHORT_BYTES:
            await self._send_long(command, check_health=check_health)
            return
        if check_health:
            await self.check_health()  # type: ignore[no-untyped-call]
        # uvloop raises RuntimeError on a transport that is closed, asyncio forgets what it is given.
        if self._writer is None or self._writer.is_closing():
            raise ConnectionError("the connection was lost")
        self._writer.writelines(command)

    async def can_read(self) -> bool:
        """Whether something is in it that nobody asked for, or its end: also a reset, which the base does not see."""
        return self.has_news()

    def has_news(self) -> bool:
        """What `can_read` says. Looks only; others do not get their turn."""
        if self._writer is None or self._writer.is_closing() or self._reader is None or self._reader.exception():
            return True
        parser: Any = self._parser
        return bool(parser.has_news())

    def more_came(self) -> None:
        """Begin the time-out of the reply that is being read anew. Big ones may take long; a silent peer is gone."""
        self._reschedule_active_read_timeout(self.socket_timeout)

    async def _send_long(self, command: bytes | str | Iterable[bytes], *, check_health: bool) -> None:
        """Send block by block: the time-out is for a peer that takes nothing, however much there is for it."""
        if not self.is_connected:
            await self.connect_check_health(check_health=False)
        if check_health:
            await self.check_health()  # type: ignore[no-untyped-call]
        try:
            for block in _blocks(command):
                await self._send_block(block)
        except builtins.TimeoutError:
            await self.disconnect(nowait=True)
            raise TimeoutError("Timeout writing to socket") from None
        except (OSError, RuntimeError) as error:
            await self.disconnect(nowait=True)
            raise ConnectionError(f"Error while writing to socket: {error}") from error
        except BaseException:
            await self.disconnect(nowait=True)  # half a command is in it
            raise

    async def _send_block(self, block: memoryview) -> None:
        if self._writer is None or self._writer.is_closing():
            raise ConnectionError("the connection was lost")
        self._writer.write(block)
        async with asyncio.timeout(self.socket_timeout):
            await self._writer.drain()


def _blocks(command: bytes | str | Iterable[bytes]) -> Iterator[memoryview]:
    if isinstance(command, str):
        command = command.encode()
    for part in [command] if isinstance(command, bytes) else command:
        whole = memoryview(part)
        for start in range(0, len(whole), _BLOCK_BYTES):
            yield whole[start : start + _BLOCK_BYTES]


class _Tcp(_Short, Connection):
    pass


class _Tls(_Short, SSLConnection):
    pass


class _Unix(_Short, UnixDomainSocketConnection):
    async def _connect(self) -> None:
        """Connect as TCP does. The base also says hello here, within itself: a silent server was asked for ever."""
        async with asyncio.timeout(self.socket_connect_timeout):
            self._reader, self._writer = await asyncio.open_unix_connection(path=self.path)


_SHORT: dict[type[Base], Any] = {Connection: _Tcp, SSLConnection: _Tls, UnixDomainSocketConnection: _Unix}


class Pool(BlockingConnectionPool):
    """Hands out what is free and connected without a lock; for the rest one waits in line, as its base does it."""

    def __init__(self, *, connection_class: type[Base] = Connection, **options: Any) -> None:
        super().__init__(connection_class=_SHORT[connection_class], **options)
        self._in_line = 0

    async def get_connection(self, *_: Any, **__: Any) -> Any:
        """Take a connection that is ready for a command. Raises ConnectionError if none is in time."""
        if self._available_connections and not self._in_line:
            connection: Any = self._available_connections[-1]
            if not connection.has_news():
                self._in_use_connections.add(self._available_connections.pop())
                return connection
        self._in_line += 1
        try:
            return await super().get_connection()  # type: ignore[no-untyped-call]
        finally:
            self._in_line -= 1

    async def release(self, connection: Base) -> None:
        """Give it back."""
        if self._in_line or connection.should_reconnect():  # type: ignore[no-untyped-call]
            await super().release(connection)
        else:
            self._in_use_connections.remove(connection)
            self._available_connections.append(connection)
