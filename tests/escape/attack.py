"""What the hostile programs share; submitted with each of them. Stands inside the sandbox, standard library only."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
IS_X86 = platform.machine() == "x86_64"


def attempt(name: str, action: Callable[[], object]) -> None:
    """Try it and say what came of it: a line `denied: NAME ERROR` or `managed: NAME ...`."""
    try:
        result = action()
    except OSError as error:
        print(f"denied: {name} {errno.errorcode.get(error.errno or 0, error)}", flush=True)
    else:
        print(f"managed: {name} {result!r}", flush=True)


def syscall(number: int, *arguments: int | bytes | None) -> int:
    """Make a system call by number. Raises OSError."""
    words = [ctypes.c_long(a) if isinstance(a, int) else ctypes.c_char_p(a) for a in arguments]
    result = int(_libc.syscall(ctypes.c_long(number), *words))
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def call(name: str, *arguments: int | bytes | None) -> int:
    """Make a system call by the name it has in libc. Raises OSError."""
    words = [ctypes.c_long(a) if isinstance(a, int) else ctypes.c_char_p(a) for a in arguments]
    result = int(_libc[name](*words))
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def number(x86_64: int, aarch64: int | None) -> int:
    """Number of a call on this machine; -1 where it does not exist (and is not to be called)."""
    return x86_64 if IS_X86 else -1 if aarch64 is None else aarch64


def run_code(code: bytes) -> int:
    """Run machine code that returns a number."""
    import mmap  # noqa: PLC0415  only the few that need it

    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    function = ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    return int(function())
