"""Memory and process limits per cell by cgroups, version 1 or 2: limits in, usage and OOM kills out.

One group per slot, made once and reused by the cells that follow each other in the slot.
"""

from __future__ import annotations

import contextlib
import errno
import os
from dataclasses import dataclass
from pathlib import Path

from sandbox.host.delegation import hand_down, place_for_cells

_ROOT = Path("/sys/fs/cgroup")
_NO_LIMIT_BYTES = 1 << 60
_SOCKETS_BYTES = 16 << 20
"""Version 1 counts what TCP and UDP sockets hold apart from all other memory, and only if it is given a bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupUsage:
    """What a cell used, by its cgroup."""

    peak_bytes: int | None
    """None where the kernel cannot tell it of one cell (version 2 before Linux 6.12)."""
    oom_kills: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Names of the control files, by version."""

    limit: str
    peak: str
    events: str
    """File with a line `oom_kill N`."""


V1 = Files(limit="memory.limit_in_bytes", peak="memory.max_usage_in_bytes", events="memory.oom_control")
V2 = Files(limit="memory.max", peak="memory.peak", events="memory.events")


_CPU_WEIGHT = 64
"""Of a whole cell, as of one process of niceness 2; a process of the service has 100."""


class CellGroup:
    """The cgroup (version 1: one per controller) of one slot."""

    def __init__(self, files: Files, memory: Path, pids: Path) -> None:
        self._folders = {memory, pids}
        for folder in self._folders:
            folder.mkdir()
        self._pids_max = pids / "pids.max"
        self._processes = 0
        with contextlib.suppress(OSError):  # version 2 counts it as memory, and has no such file
            (memory / "memory.kmem.tcp.limit_in_bytes").write_text(str(_SOCKETS_BYTES))
        if files is V2:
            (memory / "memory.oom.group").write_text("1")
            with contextlib.suppress(OSError):  # the controller was not to be had
                (memory / "cpu.weight").write_text(str(_CPU_WEIGHT))
        _forbid_swap(memory)
        self.procs = tuple(os.open(folder / "cgroup.procs", os.O_WRONLY) for folder in sorted(self._folders))
        self._limit = os.open(memory / files.limit, os.O_WRONLY)
        self._peak = _resettable(memory / files.peak)
        self._events = os.open(memory / files.events, os.O_RDONLY)
        self._before = 0

    def limit_processes(self, processes: int) -> None:
        """Set how many processes and threads the next cells may have. Raises OSError."""
        if processes != self._processes:
            self._pids_max.write_text(str(processes))
            self._processes = processes

    def join(self) -> tuple[int, ...]:
        """Start counting for a new cell; the `cgroup.procs` descriptors by which it joins."""
        self._before = self._oom_kills()
        self._write_limit(_NO_LIMIT_BYTES)  # the last job's may be too small for a cell to get warm in
        return self.procs

    def limit_memory(self, limit_bytes: int) -> bool:
        """Set the bound of the cell that is in the group now; False if it uses more than that already."""
        if self._peak is not None:
            os.write(self._peak, b"0")
        try:
            self._write_limit(limit_bytes)
        except OSError as error:
            if error.errno != errno.EBUSY:  # version 1 refuses; version 2 ends the cell itself
                raise
            return False
        return True

    def usage(self) -> GroupUsage:
        """Peak since `limit_memory`, OOM kills since `join`."""
        peak = None if self._peak is None else int(os.pread(self._peak, 32, 0))
        return GroupUsage(peak_bytes=peak, oom_kills=self._oom_kills() - self._before)

    def close(self) -> None:
        """Remove the group; its processes must be dead."""
        for fd in (*self.procs, self._limit, self._peak, self._events):
            if fd is not None:
                os.close(fd)
        for folder in self._folders:
            with contextlib.suppress(OSError):
                folder.rmdir()

    def _write_limit(self, limit_bytes: int) -> None:
        os.write(self._limit, str(limit_bytes).encode())

    def _oom_kills(self) -> int:
        for line in os.pread(self._events, 4096, 0).splitlines():
            name, _, value = line.partition(b" ")
            if name == b"oom_kill":
                return int(value)
        return 0


def _forbid_swap(memory: Path) -> None:
    """Without, a program over its limit would fill the machine's swap and be slow instead of over."""
    for name in ("memory.swap.max", "memory.swappiness"):  # version 2, version 1
        with contextlib.suppress(OSError):  # the other version's, or a kernel without swap
            (memory / name).write_text("0")


def _resettable(peak: Path) -> int | None:
    """Descriptor of the peak's file; None if the kernel lacks it or cannot begin anew."""
    fd = None
    try:
        fd = os.open(peak, os.O_RDWR)
        os.write(fd, b"0")
    except OSError:
        if fd is not None:
            os.close(fd)
        return None
    return fd


@dataclass(frozen=True, slots=True, kw_only=True)
class Hierarchy:
    """Where cell groups can be made on this machine."""

    files: Files
    memory: Path
    pids: Path

    @property
    def version(self) -> int:
        """1 or 2."""
        return 1 if self.files is V1 else 2

    def group(self, name: str) -> CellGroup:
        """Make the group of a slot. Raises OSError."""
        return CellGroup(self.files, self.memory / name, self.pids / name)

    def prepare(self) -> None:
        """Make it usable, before the first group. Raises OSError."""
        if self.files is V2:
            hand_down(self.memory)
        self.sweep()

    def sweep(self) -> None:
        """Remove the groups `evalpool-<pid>-<sandbox>-<slot>` that killed processes left."""
        for folder in {*self.memory.glob("evalpool-*"), *self.pids.glob("evalpool-*")}:
            pid = folder.name.split("-")[1]
            if not Path("/proc", pid).exists():
                with contextlib.suppress(OSError):  # somebody in it is still dying, or it went meanwhile
                    folder.rmdir()


def find_hierarchy() -> Hierarchy | None:
    """The writable cgroup hierarchy under this process's own groups, or None: then only rlimits hold. Looks only."""
    own = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(",") or [""]:
            own[controller] = path.lstrip("/")
    if "memory" in own and "pids" in own:
        found = Hierarchy(files=V1, memory=_ROOT / "memory" / own["memory"], pids=_ROOT / "pids" / own["pids"])
    else:
        folder = place_for_cells(_ROOT, own.get("", ""))
        if folder is None:
            return None
        found = Hierarchy(files=V2, memory=folder, pids=folder)
    return found if os.access(found.memory, os.W_OK) and os.access(found.pids, os.W_OK) else None
