"""Tie a process to its parent: when the parent dies, however it dies, the kernel sends us SIGTERM.

Importable, and a program of its own (`python -IS tether.py [--background] PARENT_PID COMMAND...`) that becomes
COMMAND: the setting survives exec. A wrapper instead of `preexec_fn`, which is not safe beside threads.
Standard library only; it runs before anything is installed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import signal
import sys
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_IOPRIO_SET = {"x86_64": 251, "aarch64": 30}
_IOPRIO_WHO_PROCESS, _IOPRIO_IDLE = 1, 3 << 13
_NICEST = 19
_BACKGROUND = "--background"


def die_with(parent_pid: int) -> None:
    """Have SIGTERM sent to this process when its parent dies. Exits at once if that happened already."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    # The parent may have died before prctl; then nobody would ever signal us.
    if os.getppid() != parent_pid:
        sys.exit("evalctl: the parent process is gone")


def step_back() -> None:
    """Let everybody else go first from now on, as far as this machine can be told so: processors and disk."""
    # Where the kernel makes a group of each session, niceness counts inside of it alone; the group has one of its own.
    with contextlib.suppress(OSError):
        os.setsid()
        _nice_session()
    os.nice(_NICEST)
    if number := _IOPRIO_SET.get(platform.machine()):
        ctypes.CDLL(None).syscall(number, _IOPRIO_WHO_PROCESS, 0, _IOPRIO_IDLE)
    os.environ.setdefault("GOMAXPROCS", "1")  # skopeo and umoci would take every processor


def _nice_session() -> None:
    """Give the session's group of processes the last place. The kernel lets ordinary users do so ten times a second."""
    group = Path("/proc/self/autogroup")
    try:
        group.write_text(str(_NICEST))
    except BlockingIOError:
        time.sleep(0.2)
        group.write_text(str(_NICEST))


def tethered(argv: list[str], *, background: bool = False) -> list[str]:
    """Command that runs `argv` tied to the calling process; in the background it steps back for a service's sake."""
    options = [_BACKGROUND] if background else []
    return [sys.executable, "-IS", str(Path(__file__).resolve()), *options, str(os.getpid()), *argv]


def main(words: list[str]) -> None:
    """Become the command."""
    if background := words[0] == _BACKGROUND:
        words = words[1:]
    die_with(int(words[0]))
    if background:
        step_back()
    os.execvp(words[1], words[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
