"""Control packets of a zygote -> values. Everything is checked: a zygote that was taken over may say anything."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sandbox.errors import SandboxError

_MOST_STATUS = 0xFFFF
_MOST_CPU_S = 1e9
_MOST_BYTES = 1 << 53


class ProtocolError(SandboxError):
    """What a zygote said, or when it said it, is not in the protocol; the message never quotes it."""


class Event(StrEnum):
    """What a zygote tells about a cell."""

    EXIT = "exit"
    OOM = "oom"
    GONE = "gone"


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
    exit: CellExit | None
    """Of `EXIT` only."""


def boot_failure(packet: bytes) -> str | None:
    """Why a zygote did not boot, by its first packet; None if it is ready. Raises ProtocolError."""
    if not packet:
        return ""
    match _object(packet):
        case {"op": "ready"}:
            return None
        case {"op": "failed", "why": str(why)}:
            return why
    raise ProtocolError("a zygote began with an unknown packet")


def notice(packet: bytes) -> Notice:
    """Read any later packet. Raises ProtocolError."""
    message = _object(packet)
    match message:
        case {"op": "exit" | "oom" | "gone" as op, "cell": int(cell)}:
            event = Event(op)
            return Notice(event=event, cell=cell, exit=_exit(message) if event is Event.EXIT else None)
    raise ProtocolError("a zygote sent an unknown packet")


def _object(packet: bytes) -> dict[str, Any]:
    try:
        message = json.loads(packet)
    except (ValueError, RecursionError):
        raise ProtocolError("a zygote sent what is not JSON") from None
    if not isinstance(message, dict):
        raise ProtocolError("a zygote sent what is not an object")
    return message


def _exit(message: dict[str, Any]) -> CellExit:
    match message:
        case {"status": int(status), "cpu_s": float(cpu_s), "peak_bytes": int(peak_bytes)}:
            if _ended(status) and 0 <= cpu_s <= _MOST_CPU_S and 0 <= peak_bytes <= _MOST_BYTES:
                return CellExit(status=status, cpu_s=cpu_s, peak_bytes=peak_bytes)
    raise ProtocolError("a zygote told an exit that cannot be")


def _ended(status: int) -> bool:
    """Whether it is the wait status of a process that is dead, not of one that is stopped."""
    return 0 <= status <= _MOST_STATUS and (os.WIFEXITED(status) or os.WIFSIGNALED(status))
