"""What host and guest say to each other. Standard library only; runs on both sides.

Control channel (one per jail, SOCK_SEQPACKET). The first packets are JSON:

    host -> zygote   {"op": "boot", ...}                    once, first: see `zygote.Boot`
    zygote -> host   {"op": "ready"}                        preloaded; will fork
    zygote -> host   {"op": "failed", "why": text}          cannot boot, then exits

All later ones are records of one length, an ORDER or a NOTICE; what a kind has no use for is 0:

    host -> zygote   FORK, cell, slot, how + descriptors    see `cell.Seat`
    host -> zygote   KILL, cell                             end the cell and all its descendants
    host -> zygote   WATCH, cell, bytes                     no cgroup here: end the cell when it uses more memory
    zygote -> host   OOM, cell                              it did and is being ended; its exit follows
    zygote -> host   EXIT, cell, status, cpu_s, peak_bytes  the program is dead (wait status)
    zygote -> host   GONE, cell                             its whole pid namespace is dead; the slot is free
    zygote -> host   UNBORN, cell, errno                    instead of all that: it could not be forked, for want of
                                                            processes, memory, ...; the slot is free

Cell channel (one per cell, SOCK_STREAM). The zygote never reads it: job bytes must not pass through
memory that later cells inherit. It is closed in the cell before the program's first instruction.

    cell -> host     b"W" + its CPU time so far        isolated, rehearsed, waiting
    cell -> host     b"A" + CPU times                       likewise, with its command started (`pack_spent`); then not
                                                            JOB but what `host.errand` makes of it is sent
    cell -> host     b"F" + text, then end of file          could not isolate itself
    host -> cell     JOB frame (see `pack_job`)             exactly one; end of file instead means: leave
    cell -> host     b"D" + 1 or 2 descriptors              folders to read at the end, only if the job asked for them:
                                                            working directory (outputs), gallery (figures, display)
    cell -> host     b"F" + number, then end of file        the job could not be made ready, and nothing of the program
                                                            has run: the error's number in decimal, 0 if it has none
    cell -> host     b"P"                                   only a cell with its command started: all of that is done
    cell -> host     b"C" + length + bytecode               the program compiled, before its first instruction; only if
                                                            asked for (MAKE), and if the compiler had nothing to say

Any other byte, and any silence past a deadline, kills the cell.

Who reads after a fork copies every page that it writes to, be it only a count of references: reading JSON takes 50 of
them, a record or marshal a few (docs/adr/0028-few-pages.md).
"""

from __future__ import annotations

import marshal
import struct
from typing import Any

WARM, FAILED, FOLDERS, BYTECODE, PLACED = b"W", b"F", b"D", b"C", b"P"
_STARTED = b"A"
MAKE, HAVE = "make", "have"
"""What a JOB frame says of bytecode: hand it back, or here it is (the last blob)."""
PACKET_BYTES = 128 << 10
"""Bound of one control packet."""

FORK, KILL, WATCH = b"K", b"X", b"M"
TRACE, REHEARSE, AHEAD = 1, 2, 4
"""Bits of an order's `how`."""
OOM, EXIT, GONE, UNBORN = b"O", b"E", b"G", b"U"

_ORDER = struct.Struct(">cQIBQ")
_NOTICE = struct.Struct(">cQidQ")
_MARSHAL_VERSION = 2
"""That Python 3.8 to 3.14 write and read alike."""
_HEAD = struct.Struct(">II")
_WARM = struct.Struct(">cd")
_SPENT = struct.Struct("=cd")
_STARTED_WARM = struct.Struct("=cdcqq")
"""`_SPENT`, the prelude's byte, and the CPU clock of the command: seconds and nanoseconds."""
_BYTECODE = struct.Struct(">cI")


def pack_order(op: bytes, cell: int, *, slot: int = 0, how: int = 0, memory_bytes: int = 0) -> bytes:
    """What the host wants of one cell."""
    return _ORDER.pack(op, cell, slot, how, memory_bytes)


def unpack_order(packet: bytes) -> tuple[bytes, int, int, int, int]:
    """Op, cell, slot, how and bytes."""
    op, cell, slot, how, memory_bytes = _ORDER.unpack(packet)
    return op, cell, slot, how, memory_bytes


def pack_notice(op: bytes, cell: int, status: int = 0, cpu_s: float = 0.0, peak_bytes: int = 0) -> bytes:
    """What became of one cell."""
    return _NOTICE.pack(op, cell, status, cpu_s, peak_bytes)


def unpack_notice(packet: bytes) -> tuple[bytes, int, int, float, int] | None:
    """Op, cell, status, CPU seconds and peak bytes, whatever they are; None if it is not of a notice's length."""
    if len(packet) != _NOTICE.size:
        return None
    op, cell, status, cpu_s, peak_bytes = _NOTICE.unpack(packet)
    return op, cell, status, cpu_s, peak_bytes


def pack_warm(cpu_s: float) -> bytes:
    """What a cell says when it can run; `cpu_s` is what its preparation cost, which is not the program's."""
    return _WARM.pack(WARM, cpu_s)


def pack_spent(cpu_s: float) -> bytes:
    """What a cell that becomes a started command says to its helper: CPU seconds of its children."""
    return _SPENT.pack(_STARTED, cpu_s)


def unpack_warm(data: bytes) -> float | None:
    """CPU seconds of the preparation, from what a cell or its helper said; None if that was not that it is warm."""
    if len(data) == _WARM.size and data[:1] == WARM:
        cpu_s: float = _WARM.unpack(data)[1]
    elif len(data) == STARTED_BYTES and data[:1] == _STARTED:
        _, spent_s, _, seconds, nanoseconds = _STARTED_WARM.unpack(data)
        cpu_s = spent_s + seconds + nanoseconds / 1e9
    else:
        return None
    return cpu_s if 0 <= cpu_s < 60 else None  # noqa: PLR2004  (NaN compares false)


def pack_bytecode(data: bytes) -> bytes:
    """What a cell hands back."""
    return _BYTECODE.pack(BYTECODE, len(data)) + data


def unpack_bytecode(said: bytearray) -> bytes | None:
    """Bytecode in what a cell has said so far; None if it is not all there."""
    if len(said) < _BYTECODE.size:
        return None
    size: int = _BYTECODE.unpack_from(said)[1]
    return bytes(said[_BYTECODE.size :]) if len(said) == _BYTECODE.size + size else None


def pack_job(header: dict[str, Any], blobs: list[bytes]) -> bytes:
    """JOB frame: lengths of header and body, a header by marshal, then the blobs back to back.

    What is read here is the host's, and the guest reads it. The header's "blobs" tells their lengths: the program
    first, then the files in the order of "files".
    """
    head = marshal.dumps({**header, "blobs": [len(blob) for blob in blobs]}, _MARSHAL_VERSION)
    return b"".join([_HEAD.pack(len(head), sum(map(len, blobs))), head, *blobs])


def unpack_head(data: bytes) -> tuple[int, int]:
    """Lengths of header and body from the first `HEAD_BYTES` bytes of a frame."""
    head, body = _HEAD.unpack(data)
    return head, body


def unpack_job(head: bytes, body: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """Header and blobs of a JOB frame."""
    header = marshal.loads(head)  # noqa: S302  of the host
    blobs, at = [], 0
    for size in header["blobs"]:
        blobs.append(body[at : at + size])
        at += size
    return header, blobs


HEAD_BYTES = _HEAD.size
BYTECODE_HEAD_BYTES = _BYTECODE.size
SPENT_BYTES, STARTED_BYTES = _SPENT.size, _STARTED_WARM.size
HELPER_FDS = 3, 4, 5
"""What the helper of a started command has open: the cell's channel, and the prelude's pipes, of its job and by which
it says that it waits."""
