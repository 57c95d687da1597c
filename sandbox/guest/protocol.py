"""What host and guest say to each other. Standard library only; runs on both sides.

Control channel (one per jail, SOCK_SEQPACKET, one JSON object per packet):

    host -> zygote   {"op": "boot", ...}                    once, first: see `zygote.Boot`
    zygote -> host   {"op": "ready"}                        preloaded; will fork
    zygote -> host   {"op": "failed", "why": text}          cannot boot, then exits
    host -> zygote   {"op": "fork", "cell", "slot", "trace", "rehearse"} + descriptors (see `cell.Seat.fds`)
    host -> zygote   {"op": "kill", "cell"}                 end the cell and all its descendants
    host -> zygote   {"op": "watch", "cell", "bytes"}       no cgroup here: end the cell when it uses more memory
    zygote -> host   {"op": "oom", "cell"}                  it did and is being ended; its exit follows
    zygote -> host   {"op": "exit", "cell", "status", "cpu_s", "peak_bytes"}   the program is dead (wait status)
    zygote -> host   {"op": "gone", "cell"}                 its whole pid namespace is dead; the slot is free

Cell channel (one per cell, SOCK_STREAM). The zygote never reads it: job bytes must not pass through
memory that later cells inherit. It is closed in the cell before the program's first instruction.

    cell -> host     b"W" + its CPU time so far        isolated, rehearsed, waiting
    cell -> host     b"F" + text, then end of file          could not isolate itself
    host -> cell     JOB frame (see `pack_job`)             exactly one; end of file instead means: leave
    cell -> host     b"D" + 1 or 2 descriptors              folders to read at the end, only if the job asked for them:
                                                            working directory (outputs), gallery (figures, display)
    cell -> host     b"C" + length + bytecode               the program compiled, before its first instruction; only if
                                                            asked for (MAKE), and if the compiler had nothing to say

Any other byte, and any silence past a deadline, kills the cell.
"""

from __future__ import annotations

import json
import struct
from typing import Any

WARM, FAILED, FOLDERS, BYTECODE = b"W", b"F", b"D", b"C"
MAKE, HAVE = "make", "have"
"""What a JOB frame says of bytecode: hand it back, or here it is (the last blob)."""
PACKET_BYTES = 128 << 10
"""Bound of one control packet."""

_HEAD = struct.Struct(">II")
_WARM = struct.Struct(">cd")
_BYTECODE = struct.Struct(">cI")


def pack_warm(cpu_s: float) -> bytes:
    """What a cell says when it can run; `cpu_s` is what its preparation cost, which is not the program's."""
    return _WARM.pack(WARM, cpu_s)


def unpack_warm(data: bytes) -> float | None:
    """CPU seconds of the preparation, from what a cell said; None if it is not `pack_warm`'s."""
    if len(data) != _WARM.size or data[:1] != WARM:
        return None
    cpu_s: float = _WARM.unpack(data)[1]
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
    """JOB frame: lengths of header and body, a JSON header, then the blobs back to back.

    The header's "blobs" tells their lengths: the program first, then the files in the order of "files".
    """
    head = json.dumps({**header, "blobs": [len(blob) for blob in blobs]}).encode()
    return b"".join([_HEAD.pack(len(head), sum(map(len, blobs))), head, *blobs])


def unpack_head(data: bytes) -> tuple[int, int]:
    """Lengths of header and body from the first `HEAD_BYTES` bytes of a frame."""
    head, body = _HEAD.unpack(data)
    return head, body


def unpack_job(head: bytes, body: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """Header and blobs of a JOB frame."""
    header = json.loads(head)
    blobs, at = [], 0
    for size in header["blobs"]:
        blobs.append(body[at : at + size])
        at += size
    return header, blobs


HEAD_BYTES = _HEAD.size
BYTECODE_HEAD_BYTES = _BYTECODE.size
