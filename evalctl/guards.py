"""What must hold before anything is started: the state folder is ours alone and the port is free."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import time
from typing import TYPE_CHECKING

from evalctl.scratch import locked_at_once

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
    try:
        (state_dir / "run").mkdir(parents=True, exist_ok=True, mode=0o700)
        (state_dir / "up.lock").touch()
    except OSError as error:
        raise UpError(f"{state_dir} cannot be written to ({error.strerror}); set another EVAL_STATE_DIR") from None
    with (state_dir / "up.lock").open("w") as ours, (state_dir / "run" / "children.lock").open("w") as shared:
        if not locked_at_once(ours.fileno(), fcntl.LOCK_EX):
            raise UpError(f"Evalpool already runs on {state_dir}; stop it, or set another EVAL_STATE_DIR")
        deadline = time.monotonic() + patience_s
        while not locked_at_once(shared.fileno(), fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                raise UpError(f"an earlier run on {state_dir} is still ending; try again shortly")
            time.sleep(0.1)
        yield shared.fileno()


def is_owned(state_dir: Path) -> bool:
    """Whether a service runs on the state folder, or is just starting or ending."""
    with contextlib.suppress(FileNotFoundError), (state_dir / "up.lock").open() as theirs:
        return not locked_at_once(theirs.fileno(), fcntl.LOCK_EX)
    return False


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
