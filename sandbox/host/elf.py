"""Whole static executables of some hundred bytes, out of machine code: what needs no libc needs no compiler here."""

from __future__ import annotations

import struct

_MACHINES = {"x86_64": 62, "aarch64": 183}
"""Number of the architecture in an ELF header."""
_BASE = 0x400000
_ELF_HEADER, _PROGRAM_HEADER = 64, 56
_START = _ELF_HEADER + _PROGRAM_HEADER
CODE = _BASE + _START
"""Address of the code's first byte."""


def executable(machine: str, code: bytes) -> bytes:
    """Bytes of a file that runs `code` for `machine`. Data may stand behind the code; nothing is written to."""
    size = _START + len(code)
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        b"\x7fELF\x02\x01\x01",
        2,  # ET_EXEC
        _MACHINES[machine],
        1,
        CODE,
        _ELF_HEADER,
        0,
        0,
        _ELF_HEADER,
        _PROGRAM_HEADER,
        1,
        0,
        0,
        0,
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)  # PT_LOAD, read and execute
    return header + segment + code
