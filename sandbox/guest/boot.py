"""Starts the zygote's interpreter so that nothing of this start shows under the programs that will run in it.

The zygote is bytecode in a memory file: only code that the interpreter itself begins with can be the lowest frame,
and only bytecode can be hidden. Its standard streams are pipes at first, as a program's will be: what a stream can
do (seek, say) is found out once, when its object is made.
"""

from __future__ import annotations

import ctypes
import marshal
import os
import sys

from sandbox.guest.hidden import hide

_ZYGOTE = """
import sys
sys.path[0] = "/evalpool"
from sandbox.guest import boot
boot.settle()
from sandbox.guest import cell, main, program, zygote
main.leave(main.call(program.prepare(cell.live(*zygote.main()))))
"""
_BYTECODE_FD, _LOG_FD = 10, 11
_FRAMES = 3
"""Levels of recursion below a program: the bytecode above, `main.call`, and `exec` in it."""


def main() -> None:
    """Become the zygote's interpreter, with the options in our arguments."""
    from importlib.util import MAGIC_NUMBER  # noqa: PLC0415  cells would map it for nothing

    code = hide(compile(_ZYGOTE, "<evalpool>", "exec"))
    file = os.memfd_create("zygote")
    os.write(file, MAGIC_NUMBER + bytes(12) + marshal.dumps(code))
    os.lseek(file, 0, os.SEEK_SET)
    source, sink = os.pipe()
    for fd, target in ((file, _BYTECODE_FD), (2, _LOG_FD), (source, 0), (sink, 1), (sink, 2)):
        os.dup2(fd, target)
    os.execv(sys.executable, [sys.executable, *sys.argv[1:], f"/proc/self/fd/{_BYTECODE_FD}"])


def settle() -> None:
    """In the new interpreter: errors go to the log again, and the frames below a program do not count."""
    null = os.open("/dev/null", os.O_RDWR)
    for fd, target in ((null, 0), (null, 1), (_LOG_FD, 2)):
        os.dup2(fd, target)
    for fd in (null, _LOG_FD, _BYTECODE_FD):
        os.close(fd)
    # Later versions count Python's own frames apart, and nothing lowers that count; 3.8 has no such function.
    if (3, 9) <= sys.version_info < (3, 12):
        for _ in range(_FRAMES):
            ctypes.pythonapi.Py_LeaveRecursiveCall()
