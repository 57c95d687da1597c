"""Tie a process to its parent: when the parent dies, however it dies, the kernel sends us SIGTERM.

Importable, and a program of its own (`python -IS tether.py PARENT_PID COMMAND...`) that becomes COMMAND:
the setting survives exec. A wrapper instead of `preexec_fn`, which is not safe beside threads.
Standard library only; it runs before anything is installed.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def die_with(parent_pid: int) -> None:
    """Have SIGTERM sent to this process when its parent dies. Exits at once if that happened already."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    # The parent may have died before prctl; then nobody would ever signal us.
    if os.getppid() != parent_pid:
        sys.exit("evalctl: the parent process is gone")


def tethered(argv: list[str]) -> list[str]:
    """Command that runs `argv` tied to the calling process."""
    return [sys.executable, "-IS", str(Path(__file__).resolve()), str(os.getpid()), *argv]


if __name__ == "__main__":
    die_with(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
