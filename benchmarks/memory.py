"""What a worker's processes hold: PSS per zygote and per idle cell, and a census that shows leaks.

Read from /proc alone and told apart by descent (worker > nsjail > zygote > cells), not by agreement.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

import redis

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.cluster import Cluster

PROC = Path("/proc")
CGROUPS = Path("/sys/fs/cgroup")
JAIL = "nsjail"
CELL_INIT = "init"
SCIENCE_MODULE = "numpy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    pid: int
    parent: int
    name: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ZygoteMemory:
    """One zygote and the idle cells it has forked. Bytes."""

    tier: str
    pss_bytes: int
    cells: int
    cell_pss_bytes: float
    """Mean of the cells, each with its init."""
    cell_private_bytes: float
    """Of which no other process shares: what one more cell costs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """Counts over the service's processes that must not grow with evals."""

    processes: int
    zombies: int
    descriptors: int
    rss_bytes: int
    """Of the service's processes outside the jails."""
    mounts: int
    """In the worker's mount namespace."""
    cgroups: int
    """On the machine: other services' count too."""
    keys: int
    """Redis keys without an expiry."""


def processes() -> dict[int, Process]:
    """All processes now, by pid."""
    found = (_process(int(entry.name)) for entry in PROC.iterdir() if entry.name.isdigit())
    return {p.pid: p for p in found if p is not None}


def _process(pid: int) -> Process | None:
    try:
        stat = (PROC / str(pid) / "stat").read_text()
    except OSError:  # it ended meanwhile
        return None
    name = stat[stat.index("(") + 1 : stat.rindex(")")]
    state, parent = stat[stat.rindex(")") + 2 :].split()[:2]
    return Process(pid=pid, parent=int(parent), name=name, state=state)


def children(table: dict[int, Process], pid: int) -> list[Process]:
    return [p for p in table.values() if p.parent == pid]


def descendants(table: dict[int, Process], pid: int) -> Iterator[Process]:
    for child in children(table, pid):
        yield child
        yield from descendants(table, child.pid)


def zygotes(root: int) -> list[ZygoteMemory]:
    """Memory of every zygote below `root`, and of its cells."""
    table = processes()
    jails = [p for p in descendants(table, root) if p.name == JAIL]
    return [_zygote(table, z) for jail in jails for z in children(table, jail.pid) if z.name != JAIL]


def _zygote(table: dict[int, Process], zygote: Process) -> ZygoteMemory:
    family = list(descendants(table, zygote.pid))
    cells = sum(p.name != CELL_INIT for p in children(table, zygote.pid))
    return ZygoteMemory(
        tier="science" if _maps(zygote.pid, SCIENCE_MODULE) else "bare",
        pss_bytes=_rollup(zygote.pid, "Pss"),
        cells=cells,
        cell_pss_bytes=sum(_rollup(p.pid, "Pss") for p in family) / max(cells, 1),
        cell_private_bytes=sum(_rollup(p.pid, "Private_Clean", "Private_Dirty") for p in family)
        / max(cells, 1),
    )


def _rollup(pid: int, *fields: str) -> int:
    """Sum of fields of smaps_rollup in bytes; 0 if the process has ended."""
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()[1:]
    except (FileNotFoundError, ProcessLookupError):
        return 0
    values = dict(line.split(":") for line in lines)
    return sum(int(values[name].split()[0]) for name in fields) * 1024


def _maps(pid: int, name: str) -> bool:
    return name in (PROC / str(pid) / "maps").read_text()


def mean_cell(found: Sequence[ZygoteMemory], tier: str) -> tuple[float, float]:
    """Mean (PSS, private) bytes of a tier's idle cells."""
    cells = [z for z in found if z.tier == tier and z.cells]
    if not cells:
        return float("nan"), float("nan")
    return fmean(z.cell_pss_bytes for z in cells), fmean(z.cell_private_bytes for z in cells)


def census(running: Cluster) -> Census:
    """Count what the cluster holds now."""
    table = processes()
    tree = [p for root in (running.worker, running.api) for p in (table[root], *descendants(table, root))]
    jailed = {p.pid for jail in tree if jail.name == JAIL for p in descendants(table, jail.pid)}
    service = [p.pid for p in tree if p.pid not in jailed]
    return Census(
        processes=len(service),
        zombies=sum(p.state == "Z" for p in tree),
        descriptors=sum(len(list((PROC / str(pid) / "fd").iterdir())) for pid in service),
        rss_bytes=sum(_rollup(pid, "Rss") for pid in service),
        mounts=len((PROC / str(running.worker) / "mountinfo").read_text().splitlines()),
        cgroups=sum(1 for path in CGROUPS.rglob("*") if path.is_dir()),
        keys=_lasting_keys(running.redis_url),
    )


def _lasting_keys(redis_url: str) -> int:
    with redis.Redis.from_url(redis_url) as client:
        keyspace = client.info("keyspace").get("db0", {"keys": 0, "expires": 0})
        return int(keyspace["keys"]) - int(keyspace["expires"])
