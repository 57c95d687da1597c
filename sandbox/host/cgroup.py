"""Memory, processes and processor shares of cells by cgroups, version 1 or 2: limits in, usage and OOM kills out.

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
_SCARCE = errno.EMFILE, errno.ENFILE, errno.ENOMEM
_LEFT_BYTES = 2 << 20
"""A group without processes may be charged with so much; it is what the kernel has not come round to."""
_SOCKETS_BYTES = 16 << 20
"""Version 1 counts what TCP and UDP sockets hold apart from all other memory, and only if it is given a bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupUsage:
    """What a cell used, by its cgroup."""

    peak_bytes: int | None
    """None where the kernel cannot tell it of one cell (version 2 before Linux 6.12)."""
    oom_kills: int
    """By whichever OOM killer: for the group's own limit, that of a group above it, or the machine's."""
    refusals: int
    """How often the group's own limit was in the way of more memory."""

    @property
    def is_starved(self) -> bool:
        """Whether its own limit ended it."""
        return self.oom_kills > 0 and self.refusals > 0

    @property
    def is_robbed(self) -> bool:
        """Whether it was killed within its limit, because the container or the machine had no more."""
        return self.oom_kills > 0 and self.refusals == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Names of the control files, by version."""

    limit: str
    usage: str
    peak: str
    events: str
    """File with a line `oom_kill N`."""
    refusals: tuple[str, bytes]
    """File and line of refusals by the group's own limit. Version 1 counts those too after which pages of files were
    given up instead of a process."""
    join: str
    """Where a cell writes `0`. `tasks` moves one thread, which waits for nobody; a move by `cgroup.procs` keeps every
    fork and exit of the machine waiting, and itself waits for those that have begun (ADR 0026)."""
    share: str
    young: bytes
    """Share of processors of a whole cell, whatever it starts, until it has run for a while (ADR 0026)."""
    grown: bytes
    """From then on."""


V1 = Files(
    limit="memory.limit_in_bytes",
    usage="memory.usage_in_bytes",
    peak="memory.max_usage_in_bytes",
    events="memory.oom_control",
    refusals=("memory.failcnt", b""),
    join="tasks",
    share="cpu.shares",  # one process of niceness 0 has 1024
    young=b"256",
    grown=b"32",
)
V2 = Files(
    limit="memory.max",
    usage="memory.current",
    peak="memory.peak",
    events="memory.events",
    refusals=("memory.events", b"oom"),
    join="cgroup.procs",
    share="cpu.weight",  # one process of niceness 0 has 100
    young=b"25",
    grown=b"3",
)


class CellGroup:
    """The cgroup (version 1: one per controller) of one slot."""

    def __init__(self, files: Files, memory: Path, pids: Path, cpu: Path | None = None) -> None:
        """Raises OSError, and leaves nothing behind then."""
        self._files, self._folders = files, {memory, pids, *((cpu,) if cpu else ())}
        self._open: list[int] = []
        try:
            self._make(memory, pids, cpu)
        except OSError:
            self.remove()
            raise

    def _make(self, memory: Path, pids: Path, cpu: Path | None) -> None:
        files = self._files
        for folder in self._folders:
            folder.mkdir(exist_ok=True)
        self._pids_max = pids / "pids.max"
        self._processes = 0
        with contextlib.suppress(OSError):  # version 2 counts it as memory, and has no such file
            (memory / "memory.kmem.tcp.limit_in_bytes").write_text(str(_SOCKETS_BYTES))
        if files is V2:
            (memory / "memory.oom.group").write_text("1")
        _forbid_swap(memory)
        self.procs = tuple(self._opened(folder / files.join, os.O_WRONLY) for folder in sorted(self._folders))
        self._limit = self._opened(memory / files.limit, os.O_WRONLY)
        self._usage = self._opened(memory / files.usage, os.O_RDONLY)
        self._events = self._opened(memory / files.events, os.O_RDONLY)
        self._refusals = self._opened(memory / files.refusals[0], os.O_RDONLY)
        self._peak = self._if_there(memory / files.peak, os.O_RDWR, b"0")
        self._share = self._if_there((cpu or memory) / files.share, os.O_WRONLY)
        self._is_young = False
        self._before = 0, 0

    def _opened(self, path: Path, mode: int) -> int:
        self._open.append(os.open(path, mode))
        return self._open[-1]

    def _if_there(self, path: Path, mode: int, first: bytes = b"") -> int | None:
        """Descriptor of a file that takes `first`; None if the kernel lacks it, or it does not."""
        try:
            fd = self._opened(path, mode)
        except OSError as error:
            if error.errno in _SCARCE:  # of this moment, and the group is for many cells
                raise
            return None
        try:
            os.write(fd, first)
        except OSError:
            self._open.remove(fd)
            os.close(fd)
            return None
        return fd

    def limit_processes(self, processes: int) -> None:
        """Set how many processes and threads the next cells may have. Raises OSError."""
        if processes != self._processes:
            self._pids_max.write_text(str(processes))
            self._processes = processes

    def join(self) -> tuple[int, ...]:
        """Start counting for a new cell; the descriptors by which it joins."""
        self._before = self._counts()
        self._write_limit(_NO_LIMIT_BYTES)  # the last job's may be too small for a cell to get warm in
        if not self._is_young:
            self._write_share(self._files.young)
            self._is_young = True
        return self.procs

    def grow_up(self) -> None:
        """Have the cell that is in the group now step back behind younger ones; the next one is young again."""
        self._write_share(self._files.grown)
        self._is_young = False

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
        """Peak since `limit_memory`, the rest since `join`."""
        peak = None if self._peak is None else int(os.pread(self._peak, 32, 0))
        kills, refusals = (now - before for now, before in zip(self._counts(), self._before, strict=True))
        return GroupUsage(peak_bytes=peak, oom_kills=kills, refusals=refusals)

    @property
    def is_spent(self) -> bool:
        """Whether it stays charged with what cells that are gone have left, and is not for others.

        That are pages of files that a cell was the first to read. The kernel takes them back when there is need, but
        not if somebody keeps hold of them: then the next program would be over its limit before it began.
        """
        return int(os.pread(self._usage, 32, 0)) > _LEFT_BYTES

    def remove(self) -> bool:
        """Use it no more; whether it is gone already. Its last process may go a little after its parent has heard."""
        while self._open:
            os.close(self._open.pop())
        self._folders = {folder for folder in self._folders if not _removed(folder)}
        return not self._folders

    def _write_limit(self, limit_bytes: int) -> None:
        os.write(self._limit, str(limit_bytes).encode())

    def _write_share(self, share: bytes) -> None:
        if self._share is not None:
            os.write(self._share, share)

    def _counts(self) -> tuple[int, int]:
        return _count(self._events, b"oom_kill"), _count(self._refusals, self._files.refusals[1])


def _count(fd: int, name: bytes) -> int:
    """The number in the line `name N`; 0 if there is none. Without a name: the only number."""
    for line in os.pread(fd, 4096, 0).splitlines():
        found, _, value = line.rpartition(b" ")
        if found == name:
            return int(value)
    return 0


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _forbid_swap(memory: Path) -> None:
    """Without, a program over its limit would fill the machine's swap and be slow instead of over."""
    for name in ("memory.swap.max", "memory.swappiness"):  # version 2, version 1
        with contextlib.suppress(OSError):  # the other version's, or a kernel without swap
            (memory / name).write_text("0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hierarchy:
    """Where cell groups can be made on this machine."""

    files: Files
    memory: Path
    pids: Path
    cpu: Path | None = None
    """Version 1, where it can be had: processors are shared out by cell, not by process."""

    @property
    def version(self) -> int:
        """1 or 2."""
        return 1 if self.files is V1 else 2

    @property
    def folders(self) -> set[Path]:
        """Where a slot has a group each."""
        return {self.memory, self.pids, *((self.cpu,) if self.cpu else ())}

    def group(self, name: str) -> CellGroup:
        """Make the group of a slot. Raises OSError."""
        return CellGroup(self.files, self.memory / name, self.pids / name, self.cpu / name if self.cpu else None)

    def prepare(self) -> None:
        """Make it usable, before the first group. Raises OSError."""
        if self.files is V2:
            hand_down(self.memory)
        self.sweep()

    def sweep(self) -> None:
        """Remove the groups `evalpool-<pid>-<sandbox>-<serial>` that killed processes left."""
        for folder in {each for parent in self.folders for each in parent.glob("evalpool-*")}:
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
        memory, pids, cpu = (_ROOT / name / own.get(name, "") for name in ("memory", "pids", "cpu"))
        found = Hierarchy(files=V1, memory=memory, pids=pids, cpu=cpu if os.access(cpu, os.W_OK) else None)
    else:
        folder = place_for_cells(_ROOT, own.get("", ""))
        if folder is None:
            return None
        found = Hierarchy(files=V2, memory=folder, pids=folder)
    return found if os.access(found.memory, os.W_OK) and os.access(found.pids, os.W_OK) else None
