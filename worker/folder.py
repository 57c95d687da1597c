"""A worker's folder: its own while it lives, removed at its end, and by the next worker if it was killed.

Who lives is told by a lock, not by a pid: workers in containers may share the folder but not their pids.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PREFIX = "worker-"


class NoFolder(Exception):  # noqa: N818 (says what is the case)
    """There is no place for the worker's files; the message says where, and why."""


@contextmanager
def own_folder(run_dir: Path, worker_id: str) -> Iterator[Path]:
    """Make the folder of this worker below `run_dir`; what dead workers left there goes. Raises NoFolder."""
    folder = run_dir / f"{_PREFIX}{worker_id}"
    try:
        ours = _made(run_dir, folder)
    except OSError as error:
        raise NoFolder(f"{run_dir} cannot be written to ({error.strerror}): set EVAL_STATE_DIR") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(ours)


def _made(run_dir: Path, folder: Path) -> int:
    """Make and lock the folder; the descriptor that holds the lock."""
    run_dir.mkdir(parents=True, exist_ok=True)
    with _opened(run_dir) as claiming:
        fcntl.flock(claiming, fcntl.LOCK_EX)  # or a sweep might see a folder that is not locked yet
        _sweep(run_dir)
        folder.mkdir()
        ours = os.open(folder, os.O_RDONLY)
        fcntl.flock(ours, fcntl.LOCK_EX)
    return ours


def _sweep(run_dir: Path) -> None:
    for folder in run_dir.glob(f"{_PREFIX}*/"):
        # Another worker may end, and remove its own, under our eyes.
        with suppress(FileNotFoundError), _opened(folder) as theirs:
            try:
                fcntl.flock(theirs, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
