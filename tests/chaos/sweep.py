"""What is left of a cluster on this machine: each function gives what should not be there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from cluster import cgroups_of
from processes import descendants, runs

from jobs.keys import GROUP, Keys

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cluster import Cluster, Service
    from redis import Redis

_TELLING = ("mountinfo", "environ", "cmdline")
"""Files of a process that name the cluster's folder: in a jail, its root; in a service, its settings."""
_NAMES = Keys()


def processes_of(state: Path) -> list[str]:
    """Processes that have to do with the cluster, however they are related by now."""
    others = (entry for entry in Path("/proc").iterdir() if entry.name.isdigit() and int(entry.name) != os.getpid())
    return [f"process {entry.name}: {_words(entry)}" for entry in others if _names(entry, str(state).encode())]


def mounts_of(state: Path) -> list[str]:
    return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(state) in line]


def cgroups_left(workers: Iterable[Service]) -> list[str]:
    """Cgroups of workers that are dead."""
    return [str(folder) for worker in workers if not worker.alive for folder in cgroups_of(worker.pid)]


def folders_left(cluster: Cluster) -> list[str]:
    """Folders of workers beyond those that live."""
    folders = sorted(str(folder) for folder in (cluster.state / "run").glob("worker-*"))
    return folders if len(folders) > len(cluster.alive("worker")) else []


def zombies_of(cluster: Cluster) -> list[str]:
    alive = [service.pid for service in cluster.services if service.alive]
    family = {pid for service in alive for pid in descendants(service)}
    return [f"zombie {pid}" for pid in family if not runs(pid) and Path(f"/proc/{pid}").exists()]


def keys_left(redis: Redis) -> list[str]:
    """Keys that live for ever and should not, lanes that are not empty, leases that nobody will end."""
    left = []
    for name in (key.decode() for key in redis.scan_iter()):
        if ":lane:" in name:
            groups = redis.xinfo_groups(name)
            if redis.xlen(name) or any(group["pending"] for group in groups):
                left.append(f"{name} holds {redis.xlen(name)}: {groups}")
        elif redis.ttl(name) == -1 and name not in (_NAMES.cancels, _NAMES.dead, _NAMES.environments):
            left.append(f"{name} lives for ever")
    return left


def standing(cluster: Cluster) -> list[str]:
    """Where everything is at this moment: for who waits for what does not come."""
    told = keys_left(cluster.redis)
    for name in cluster.redis.scan_iter(match="*:lane:*"):
        told += [str(lease) for lease in cluster.redis.xpending_range(name, GROUP, "-", "+", 20)]
    for worker in cluster.alive("worker"):
        told.append(f"worker {worker.pid}: jails {sorted(worker.jails())}, {worker.said()[-600:]}")
    return told


def descriptors(service: Service) -> int:
    """Open descriptors of a service and of its zygotes, sockets among them."""
    pids = {service.pid, *service.zygotes()}
    return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids)


def _names(entry: Path, text: bytes) -> bool:
    for name in _TELLING:
        try:
            if text in (entry / name).read_bytes():
                return True
        except OSError:  # gone, or not ours
            continue
    return False


def _words(entry: Path) -> str:
    try:
        return (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:200]
    except OSError:
        return "?"
