"""The compiled form of one program, handed back by the first cell that ran it and given to the later ones.

The host never looks into it: to a cell it is as much the submitter's own as the source is, and only cells of the same
program get it. It leaves a cell before the program's first instruction.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sandbox.guest import protocol

if TYPE_CHECKING:
    from typing import Final

WORTH_BYTES: Final = 4 << 10
"""Programs below it compile faster than they are handed over."""
_MOST_PER_BYTE = 4
"""Bytecode is about half as large again as its source; more than this is not kept."""


class Bytecode:
    """Of one program in one environment. Whoever runs it takes a turn; while the first compiles the others wait."""

    def __init__(self, code_bytes: int) -> None:
        self.bound_bytes = _MOST_PER_BYTE * code_bytes
        self.data: bytes | None = None
        self._is_given_up = False
        self._maker: Turn | None = None
        self._news = asyncio.Event()
        self._home: object = None
        self.tier: str | None = None
        """Where the program runs, looked up once: that too takes its time with a large one."""

    def is_of(self, home: object) -> bool:
        """Whether it is this sandbox's, the first one's that asks: another may have another interpreter."""
        self._home = self._home or home
        return self._home is home

    async def turn(self) -> Turn:
        """The next cell's part; `end` it whatever happens."""
        while self._maker is not None:
            await self._news.wait()
        if self.data is not None or self._is_given_up:
            return Turn(self, protocol.HAVE if self.data is not None else "")
        self._news = asyncio.Event()
        self._maker = Turn(self, protocol.MAKE)
        return self._maker

    @classmethod
    def worthwhile(cls, code: str) -> Bytecode | None:
        """For this program; None if handing over costs more than compiling."""
        return cls(len(code)) if len(code) >= WORTH_BYTES else None

    def settle(self, data: bytes | None, *, give_up: bool) -> None:
        """What became of the maker's turn."""
        self.data, self._is_given_up, self._maker = data, give_up, None
        self._news.set()


class Turn:
    """What one cell does about the bytecode: has it, makes it, or neither."""

    def __init__(self, bytecode: Bytecode, mode: str) -> None:
        self._bytecode, self.mode = bytecode, mode
        self._taken = bytearray()
        self._is_open = mode == protocol.MAKE
        self._is_too_long = False

    @property
    def data(self) -> bytes:
        """What the cell is given."""
        return self._bytecode.data or b"" if self.mode == protocol.HAVE else b""

    def take(self, piece: bytes) -> bool:
        """Take what the maker's cell said; False if that cannot be bytecode."""
        if self._is_too_long:
            return True
        if not self._is_open or not (self._taken or piece[:1] == protocol.BYTECODE):
            return False
        self._taken += piece
        if len(self._taken) > self._bytecode.bound_bytes + protocol.BYTECODE_HEAD_BYTES:
            self._is_too_long = True  # the rest of it goes nowhere
            self._taken.clear()
            self.over()
        elif (data := protocol.unpack_bytecode(self._taken)) is not None:
            self._close(data, give_up=False)
        return True

    def over(self) -> None:
        """The cell has hung up. If nothing whole came this program is not for sharing (its compiler had to speak)."""
        if self._is_open:
            self._close(None, give_up=True)

    def end(self) -> None:
        """The run is over; if it broke, another may try."""
        if self._is_open:
            self._close(None, give_up=False)

    def _close(self, data: bytes | None, *, give_up: bool) -> None:
        self._is_open = False
        self._bytecode.settle(data, give_up=give_up)
