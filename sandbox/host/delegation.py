"""Cgroup version 2 hands controllers down only from a group without processes: makes room in a group that is ours.

Ours is a group that systemd delegated, or that is all a container sees. Its processes move into an inner group, where
they stay, and groups of cells stand beside that one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_MOVES = 20
"""What is forked while its parent is moved stays behind, and is moved the next time."""
_ANSWER_S = 5.0
"""So long systemd may take to answer."""
CONTROLLERS = frozenset({"memory", "pids"})
WISHED = "cpu"
"""Shares processors by cell instead of by process, where it can be had."""
_INNER = "evalpool.inner"
"""Not `evalpool-...`: those are groups of cells, which are swept."""


def place_for_cells(root: Path, own: str) -> Path | None:
    """The folder below `root` where groups of cells may be made, given this process's own group; None: nowhere.

    Looks only. `hand_down` then makes it so.
    """
    folder = root / own.lstrip("/")
    if folder.name == _INNER:
        folder = folder.parent
    if not _words(folder / "cgroup.controllers") >= CONTROLLERS:
        return None
    if _words(folder / "cgroup.subtree_control") >= CONTROLLERS:
        return folder
    if not os.access(folder / "cgroup.subtree_control", os.W_OK):
        return None
    return folder if folder == root or _is_marked(folder) or _is_delegated(folder) else None


def hand_down(folder: Path) -> None:
    """Let groups in `folder` have the controllers. Raises OSError."""
    if not _words(folder / "cgroup.subtree_control") >= CONTROLLERS:
        _hand_down(folder)
    if WISHED in _words(folder / "cgroup.controllers") - _words(folder / "cgroup.subtree_control"):
        with contextlib.suppress(OSError):  # processes here, or not ours to divide
            (folder / "cgroup.subtree_control").write_text(f"+{WISHED}")


def _hand_down(folder: Path) -> None:
    wanted = " ".join(f"+{name}" for name in sorted(CONTROLLERS))
    for _ in range(_MOVES):
        try:
            (folder / "cgroup.subtree_control").write_text(wanted)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            _move_inside(folder)
        else:
            return
    (folder / "cgroup.subtree_control").write_text(wanted)


def _move_inside(folder: Path) -> None:
    inner = folder / _INNER
    inner.mkdir(exist_ok=True)
    for pid in (folder / "cgroup.procs").read_text().split():
        with contextlib.suppress(OSError):  # it ended
            (inner / "cgroup.procs").write_text(pid)


def _words(file: Path) -> set[str]:
    try:
        return set(file.read_text().split())
    except OSError:
        return set()


def _is_marked(folder: Path) -> bool:
    """Whether the machine's systemd marked the group as its user's to divide."""
    for name in ("user.delegate", "trusted.delegate"):
        with contextlib.suppress(OSError):
            if os.getxattr(folder, name) == b"1":
                return True
    return False


def _is_delegated(unit: Path) -> bool:
    """Ask systemd: a user's own marks nothing (seen with 252), and before 251 only root saw the mark."""
    whose = ["--user"] if any(folder.name.startswith("user@") for folder in unit.parents) else []
    command = ["systemctl", *whose, "show", "--property=Delegate", "--value", "--", unit.name]
    try:
        told = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_ANSWER_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):  # no systemd
        return False
    return told.stdout.strip() == "yes"
