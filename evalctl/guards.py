"""What must hold before anything is started: the state folder is ours alone and the port is free."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class UpError(Exception):
    """`evalctl up` cannot go on; the message is one sentence for people."""


@contextlib.contextmanager
def sole_owner(state_dir: Path, *, patience_s: float = 20.0) -> Iterator[int]:
    """Hold the state folder; yields a descriptor that every child must inherit. Raises UpError.

    Two locks. `up.lock` is this process's alone: taken means "already running". `children.lock` is
    inherited: after kill -9 of the owner it stays taken until the last child is gone, and we wait for
    that, because two servers on one data folder would destroy it.
    """
    (state_dir / "run").mkdir(parents=True, exist_ok=True, mode=0o700)
    with (state_dir / "up.lock").open("w") as ours, (state_dir / "run" / "children.lock").open("w") as shared:
        if not _try_lock(ours.fileno()):
            raise UpError(f"Evalpool already runs on {state_dir}; stop it, or set another EVAL_STATE_DIR")
        deadline = time.monotonic() + patience_s
        while not _try_lock(shared.fileno()):
            if time.monotonic() > deadline:
                raise UpError(f"an earlier run on {state_dir} is still ending; try again shortly")
            time.sleep(0.1)
        yield shared.fileno()


def require_free_port(host: str, port: int) -> None:
    """Raise UpError if nobody could listen there."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            # As servers do: a connection of the last run in TIME_WAIT is no obstacle.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise UpError(
            f"cannot listen on {host} port {port} ({reason}); choose another with --port or EVAL_PORT",
        ) from None


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
