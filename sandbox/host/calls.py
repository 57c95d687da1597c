"""System calls as records, which the helper beside a started command does one after the other (`helper_elf`)."""

from __future__ import annotations

import platform
import struct

_RECORD = struct.Struct("<7Qq")
RECORD_BYTES = _RECORD.size
LEAP = -1
"""Instead of a number: go on with the records at the address in the first argument."""
_NUMBERS = {
    "x86_64": {
        "read": 0, "write": 1, "close": 3, "mmap": 9, "nanosleep": 35, "recvfrom": 45, "sendmsg": 46,
        "clock_gettime": 228, "exit_group": 231, "openat": 257, "mkdirat": 258, "unlinkat": 263, "fchmodat": 268,
        "prlimit64": 302,
    },
    "aarch64": {
        "read": 63, "write": 64, "close": 57, "mmap": 222, "nanosleep": 101, "recvfrom": 207, "sendmsg": 211,
        "clock_gettime": 113, "exit_group": 94, "openat": 56, "mkdirat": 34, "unlinkat": 35, "fchmodat": 53,
        "prlimit64": 261,
    },
}  # fmt: skip
WHATEVER = -4096
"""Less than any error: the call may fail."""


def record(name: str, *args: int, least: int = 0, machine: str | None = None) -> bytes:
    """One call; the helper gives up if it returns less than `least` (an error is a negative number)."""
    number = _NUMBERS[machine or platform.machine()][name]
    return _pack(number, args, least)


def leap(address: int) -> bytes:
    """Go on with the records there."""
    return _pack(LEAP, (address,), 0)


def _pack(number: int, args: tuple[int, ...], least: int) -> bytes:
    words = [word & (1 << 64) - 1 for word in (number, *args)]
    return _RECORD.pack(*words, *[0] * (7 - len(words)), least)
