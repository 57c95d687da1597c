"""Memory limits where no cgroup can be had: look at the cells' processes a few times a second.

Two steps. Resident sizes are cheap to read but count a page once for every process that maps it, so they only
raise the suspicion; proportional sizes, which share such pages out, decide.
"""

from __future__ import annotations

import contextlib
import os
from typing import NamedTuple

_TICK_MS = 50
_SIZES = (b"RssAnon:", b"RssShmem:", b"VmPTE:", b"VmSwap:")
_SHARES = (b"Pss_Anon:", b"Pss_Shmem:", b"SwapPss:")
_NAME_BYTES = 100
"""More than the first line of a `status` file: it is the program's to choose, and must not get in here."""


class _Watched(NamedTuple):
    namespace: int
    """Inode of the cell's pid namespace."""
    bound_bytes: int


class Watch:
    """The cells that run under a memory limit, and what they use beyond the preloaded pages."""

    def __init__(self) -> None:
        self._cells: dict[int, _Watched] = {}

    @property
    def tick_ms(self) -> int | None:
        """How long to wait before the next look; None: for ever."""
        return _TICK_MS if self._cells else None

    def add(self, cell: int, init: int, bound_bytes: int) -> None:
        """Watch the pid namespace of the process `init`."""
        with contextlib.suppress(OSError):  # dead already
            self._cells[cell] = _Watched(_namespace(init), bound_bytes)

    def drop(self, cell: int) -> None:
        """Forget a cell."""
        self._cells.pop(cell, None)

    def exceeded(self) -> list[int]:
        """Cells over their bound."""
        if not self._cells:
            return []
        pids = _pids_by_namespace()
        return [cell for cell, watched in self._cells.items() if _exceeds(watched, pids)]


def _exceeds(watched: _Watched, pids: dict[int, list[str]]) -> bool:
    own = pids.get(watched.namespace, [])
    if sum(_read(pid, "status", _SIZES, _NAME_BYTES) for pid in own) <= watched.bound_bytes:
        return False
    preloaded = _read("self", "smaps_rollup", _SHARES)  # each fork has this share of the zygote's pages too
    shares = (_read(pid, "smaps_rollup", _SHARES) - preloaded for pid in own)
    tables = (_read(pid, "status", (b"VmPTE:",), _NAME_BYTES) for pid in own)
    return sum(max(0, share) for share in shares) + sum(tables) > watched.bound_bytes


def _pids_by_namespace() -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                found.setdefault(_namespace(int(name)), []).append(name)
            except OSError:  # gone meanwhile
                continue
    return found


def _namespace(pid: int) -> int:
    return os.stat(f"/proc/{pid}/ns/pid").st_ino


def _read(pid: str, name: str, fields: tuple[bytes, ...], start: int = 0) -> int:
    """Sum of the `fields` of a /proc file, in bytes; 0 for a process that is gone."""
    try:
        fd = os.open(f"/proc/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            lines = os.pread(fd, 8192, start).splitlines()
        finally:
            os.close(fd)
    except OSError:
        return 0
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith(fields))
