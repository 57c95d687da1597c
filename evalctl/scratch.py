"""Folders to work in that no command leaves behind: gone at the end, and by the next command if this one was killed.

Whose command lives is told by a lock on the folder, not by a pid. Removing trees is here too.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def scratch(parent: Path, prefix: str) -> Iterator[Path]:
    """A folder of our own below `parent`; those of commands that were killed go first. Raises OSError."""
    parent.mkdir(parents=True, exist_ok=True)
    with opened(parent) as claiming:
        fcntl.flock(claiming, fcntl.LOCK_EX)  # or a sweep might see a folder that is not locked yet
        _sweep(parent, prefix)
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        ours = os.open(folder, os.O_RDONLY)
        fcntl.flock(ours, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        remove_tree(folder)
        os.close(ours)


def _sweep(parent: Path, prefix: str) -> None:
    for folder in parent.glob(f"{prefix}*"):
        with contextlib.suppress(FileNotFoundError), opened(folder) as theirs:
            if locked_at_once(theirs, fcntl.LOCK_EX):
                remove_tree(folder)


def locked_at_once(descriptor: int, how: int) -> bool:
    """Whether the lock could be had without waiting."""
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[int]:
    """A folder's descriptor, to lock it. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def remove_tree(folder: Path) -> None:
    """Remove a folder, also one with folders that may not be written to, or one that somebody else removes too."""

    def allow(function: Any, path: str, error: Any) -> None:
        if isinstance(error[1], FileNotFoundError):
            return
        os.chmod(os.path.dirname(path), stat.S_IRWXU)  # noqa: PTH101, PTH120  shutil speaks in strings
        if function is not os.unlink:
            os.chmod(path, stat.S_IRWXU)  # noqa: PTH101
            shutil.rmtree(path, ignore_errors=True)
            return
        os.unlink(path)  # noqa: PTH108

    shutil.rmtree(folder, onerror=allow)
