"""A command that is started before its program is there: the interpreter boots, then waits in a prelude of ours.

The cell's own process becomes the interpreter. Beside it stays a helper (`host.helper_elf`), a child of the cell's
init: it takes the job, puts the files in place, sets the interpreter's limits, tells the prelude what only a process
itself can change, and ends. A prelude that hears less than all of it kills itself, so a helper that dies takes the
interpreter with it.
"""

from __future__ import annotations

import os
import resource
import signal
from typing import TYPE_CHECKING, NoReturn

from sandbox.guest import limits, place, protocol

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

_JOB_FD, _READY_FD = 250, 251
"""As the preludes have them. High: what an interpreter opens while it boots gets the numbers that it gets anyway."""
_HELPER = "/evalpool/preludes/helper"


def start(channel: socket.socket, open_files: int) -> NoReturn:
    """Start the helper, and be the environment's command; the helper says to the host when that waits.

    Raises OSError: there is no helper. Nothing but the standard descriptors and the channel may be open.
    """
    job, job_sink = os.pipe()
    ready, ready_sink = os.pipe()
    channel.set_inheritable(True)
    # In this order: the numbers are 4 to 7 now, and none is needed when it is covered.
    moves = [(os.POSIX_SPAWN_DUP2, *move) for move in zip((job_sink, ready), protocol.HELPER_FDS[1:])]  # noqa: B905
    # It forks and ends, so that the helper is no child of the command, which must have none.
    os.waitpid(os.posix_spawn(_HELPER, ["helper"], {}, file_actions=moves), 0)
    channel.close()
    os.write(ready_sink, protocol.pack_spent(_cpu_s_of_children()))
    os.dup2(job, _JOB_FD)
    os.dup2(ready_sink, _READY_FD)
    limits.bound_open_files(open_files)
    become(os.execve, place.prelude["path"], place.prelude["command"], place.prelude["variables"])


def become(how: Callable[..., object], path: str, command: list[str], environ: dict[str, str]) -> NoReturn:
    """Be another program altogether; `how` is execve, or something like it."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)  # Python ignores them, and an exec would not change that
    try:
        how(path, command, environ)
    except OSError as error:  # as a shell says it
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
        os._exit(127 if isinstance(error, FileNotFoundError) else 126)
    raise AssertionError(how)


def _cpu_s_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
