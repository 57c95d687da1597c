"""Settings of a sandbox, one value; the worker builds it from the environment, a library user by hand."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

YOUNG_S = 0.1
"""So long a run has the larger share of processors; a worker bounds how many runs are so young (`EVAL_STARTS`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellLimits:
    """Limits that a cell gets before its job is known."""

    processes: int = 32
    """Processes and threads. Eight fork bombs of 64 each delay others by a second on two cores, of 32 by 0.1 s:
    fork and exit take locks that all forks of one zygote share, and whoever holds one may wait long for a processor."""
    open_files: int = 1024
    file_bytes: int = 64 << 20
    """Of any one file."""
    disk_bytes: int = 64 << 20
    """Of the working directory, /tmp and /dev/shm together (a tmpfs: it counts as memory too)."""
    inodes: int = 8192
    nice: int = 2
    """Programs step back behind the service itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxConfig:
    """How many cells, how long zygotes live, where files go."""

    run_dir: Path
    """A folder of this sandbox's own; removed at the end."""
    slots: int = field(default_factory=lambda: max(4, 2 * (os.cpu_count() or 1)))
    """Programs that run at the same time."""
    warm: int = 0
    """Cells kept warm in the first tier, of all environments together where there are several; 0: as many as slots."""
    zygote_cells: int = 20_000
    """Cells after which a zygote is replaced: memory layout and hash seed do not live for ever."""
    zygote_age_s: float = 3600.0
    boot_timeout_s: float = 60.0
    warm_timeout_s: float = 10.0
    """From fork to warm; a cell that takes longer is killed."""
    compiled_bytes: int = 64 << 20
    """Of compiled programs that are kept, so that the same source need not be compiled again."""
    cgroups: bool = True
    """Use cgroups where writable; else only rlimits."""
    cell: CellLimits = field(default_factory=CellLimits)
