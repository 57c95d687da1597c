"""Control packets of a zygote -> values. Everything is checked: a zygote that was taken over may say anything."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from enum import Enum

from sandbox.errors import SandboxError
from sandbox.guest import protocol

_MOST_STATUS = 0xFFFF
_MOST_ERRNO = 0xFFF
_MOST_CPU_S = 1e9
_MOST_BYTES = 1 << 53


class ProtocolError(SandboxError):
    """What a zygote said, or when it said it, is not in the protocol; the message never quotes it."""


class Event(Enum):
    """What a zygote tells about a cell."""

    EXIT = protocol.EXIT
    OOM = protocol.OOM
    GONE = protocol.GONE
    UNBORN = protocol.UNBORN


_EVENTS = {event.value: event for event in Event}


@dataclass(frozen=True, slots=True, kw_only=True)
class CellExit:
    """How a cell's program ended, as the zygote saw it."""

    status: int
    """Wait status; `os.waitstatus_to_exitcode` reads it."""
    cpu_s: float
    peak_bytes: int
    """Largest resident size of any one process of the cell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One packet."""

    event: Event
    cell: int
    exit: CellExit | None = None
    """Of `EXIT` only."""
    errno: int = 0
    """Of `UNBORN` only: why."""


def boot_failure(packet: bytes) -> str | None:
    """Why a zygote did not boot, by its first packet; None if it is ready. Raises ProtocolError."""
    if not packet:
        return ""
    try:
        message = json.loads(packet)
    except (ValueError, RecursionError):
        raise ProtocolError("a zygote began with what is not JSON") from None
    match message:
        case {"op": "ready"}:
            return None
        case {"op": "failed", "why": str(why)}:
            return why
    raise ProtocolError("a zygote began with an unknown packet")


def notice(packet: bytes) -> Notice:
    """Read any later packet. Raises ProtocolError."""
    told = protocol.unpack_notice(packet)
    if told is None:
        raise ProtocolError("a zygote sent what is no notice")
    op, cell, status, cpu_s, peak_bytes = told
    if op not in _EVENTS:
        raise ProtocolError("a zygote told what is no event")
    if op == protocol.UNBORN:
        if not 0 < status <= _MOST_ERRNO:
            raise ProtocolError("a zygote told a failure that cannot be")
        return Notice(event=Event.UNBORN, cell=cell, errno=status)
    if op != protocol.EXIT:
        return Notice(event=_EVENTS[op], cell=cell)
    if not (_ended(status) and 0 <= cpu_s <= _MOST_CPU_S and peak_bytes <= _MOST_BYTES):
        raise ProtocolError("a zygote told an exit that cannot be")
    return Notice(event=Event.EXIT, cell=cell, exit=CellExit(status=status, cpu_s=cpu_s, peak_bytes=peak_bytes))


def _ended(status: int) -> bool:
    """Whether it is the wait status of a process that is dead, not of one that is stopped."""
    return 0 <= status <= _MOST_STATUS and (os.WIFEXITED(status) or os.WIFSIGNALED(status))
