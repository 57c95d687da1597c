"""What stands in for a zygote and its cells: the other ends of real sockets and pipes, to say anything with."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sandbox import bare_environment
from sandbox.environment import Tier
from sandbox.guest import protocol
from sandbox.host.cell import Cell
from sandbox.host.jail import Jail

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

TIER = Tier(name="bare", preload=())
WELL = 0.0
"""CPU seconds of a program that ended well."""


class Guest:
    """A cell's own ends."""

    def __init__(self, fds: list[int]) -> None:
        self.channel = socket.socket(fileno=fds[0])
        self.streams = fds[1:4]

    def end(self) -> None:
        self.channel.close()
        for fd in self.streams:
            with contextlib.suppress(OSError):
                os.close(fd)
        self.streams = []


class Zygote:
    """The other end of a jail's control channel; a process that only sleeps stands in for nsjail."""

    def __init__(self, jail: Jail, control: socket.socket) -> None:
        self.jail, self.control = jail, control
        self.guests: dict[int, Guest] = {}

    @classmethod
    async def start(cls, folder: Path) -> Self:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        process = await asyncio.create_subprocess_exec("/bin/sleep", "60")
        return cls(Jail(process, ours, folder, bare_environment()), theirs)

    async def boot(self, answer: bytes = b'{"op": "ready"}') -> str | None:
        self.control.send(answer)
        why = await self.jail.boot(TIER, {}, {}, timeout_s=5)
        self.control.recv(protocol.PACKET_BYTES)
        return why

    def cell(self, cell_id: int) -> Cell:
        """A cell of the jail, forked."""
        cell = Cell(cell_id, self.jail, slot=0, group=None)
        cell.start()
        message, fds, _, _ = socket.recv_fds(self.control, protocol.PACKET_BYTES, 4)
        assert protocol.unpack_order(message)[0] == protocol.FORK
        self.guests[cell_id] = Guest(fds)
        return cell

    async def warm_cell(self, cell_id: int) -> Cell:
        cell = self.cell(cell_id)
        self.guests[cell_id].channel.send(protocol.pack_warm(0.001))
        await cell.warm
        return cell

    def say(self, packet: bytes) -> None:
        """Send a packet; a jail that is lost already does not hear it."""
        with contextlib.suppress(BrokenPipeError):
            self.control.send(packet)

    def end(self, cell_id: int, status: int = 0) -> None:
        """The cell's program and then all of the cell is dead."""
        self.guests[cell_id].end()
        self.say(protocol.pack_notice(protocol.EXIT, cell_id, status, WELL, 1))
        self.say(protocol.pack_notice(protocol.GONE, cell_id))

    async def close(self) -> None:
        for guest in self.guests.values():
            guest.end()
        await self.jail.close()
        self.control.close()


@contextlib.asynccontextmanager
async def zygote() -> AsyncIterator[Zygote]:
    """A zygote that has booted."""
    with tempfile.TemporaryDirectory() as folder:
        one = await Zygote.start(Path(folder, "jail"))
        try:
            assert await one.boot() is None
            yield one
        finally:
            await one.close()


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run it in a loop of its own; what a callback raises, and a descriptor that stays open, fails it."""
    unhandled: list[dict[str, Any]] = []

    async def watched() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
        await asyncio.wait_for(test, 60)

    before = descriptors()
    asyncio.run(watched())
    assert unhandled == []
    assert not descriptors() - before


def descriptors() -> set[tuple[str, str]]:
    """What this process has open: number and file."""
    assert sys.platform == "linux"
    found = set()
    for number in os.listdir("/proc/self/fd"):  # noqa: PTH208  names only
        with contextlib.suppress(FileNotFoundError):  # the listing itself
            found.add((number, os.readlink(f"/proc/self/fd/{number}")))  # noqa: PTH115
    return found
