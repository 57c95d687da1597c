"""Nothing grows with the number of evals. `EVAL_SOAK_EVALS` makes it a longer run."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cluster import SLOTS, cgroups_of, until
from processes import descendants, runs

from jobs.keys import Keys
from jobs.model import Lane

if TYPE_CHECKING:
    from cluster import Cluster, Service

EVALS = int(os.environ.get("EVAL_SOAK_EVALS", "300"))
ROUNDS = 8
pytestmark = [pytest.mark.jail, pytest.mark.timeout(60 + EVALS // 20)]
PROGRAMS = (
    "print(1)",
    "import numpy; print(numpy.arange(3).sum())",
    "open('a', 'w').write('x' * 100_000); raise SystemExit(3)",
    "import subprocess; subprocess.run(['sleep', '0'])",
    "import os; os.fork(); os.kill(os.getpid(), 9)",
)
MIB = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Census:
    """What may not grow."""

    worker_bytes: int
    zygotes_bytes: int
    descriptors: int
    processes: int
    cgroups: int
    mounts: int


def census(cluster: Cluster) -> Census:
    worker, zygotes = cluster.worker.pid, cluster.worker.zygotes()
    return Census(
        worker_bytes=_rss_bytes(worker),
        zygotes_bytes=sum(map(_rss_bytes, zygotes)),
        descriptors=sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in {worker, *zygotes}),
        processes=len(descendants(worker)),
        cgroups=len(cgroups_of(worker)),
        mounts=Path("/proc/self/mountinfo").read_text().count(str(cluster.state)),  # others mount too
    )


async def settled(cluster: Cluster) -> None:
    """No cell on its way in or out."""
    worker = cluster.worker
    await until(lambda: _at_rest(worker), "rest")


async def counted(cluster: Cluster) -> Census:
    await settled(cluster)
    return census(cluster)


def a_round_without_growth(counts: list[int]) -> bool:
    return any(later <= earlier for earlier, later in pairwise(counts))


async def burden(cluster: Cluster, count: int) -> None:
    requests = [{"code": PROGRAMS[n % len(PROGRAMS)], "timeout_s": 1} for n in range(count)]
    timeouts = [{"code": "while True: pass", "timeout_s": 0.1}] * (count // 10)
    answers = await cluster.evals(*requests, *timeouts, at_once=2 * SLOTS)

    assert {answer.code for answer in answers} == {200}


async def test_nothing_grows_with_the_number_of_evals(cluster: Cluster) -> None:
    await burden(cluster, 100)
    counts = [await counted(cluster)]
    zygotes = cluster.worker.zygotes()
    for _ in range(ROUNDS):
        await burden(cluster, EVALS // ROUNDS)
        counts.append(await counted(cluster))
    before, after = counts[0], counts[-1]

    assert cluster.worker.zygotes() == zygotes, "replaced ones would prove nothing"
    assert after.worker_bytes - before.worker_bytes < MIB
    assert after.zygotes_bytes - before.zygotes_bytes < MIB
    # A slot's groups and its networks (one per zygote) are made at first use; what leaks grows in every round.
    assert a_round_without_growth([one.cgroups for one in counts])
    assert a_round_without_growth([one.descriptors for one in counts])
    assert a_round_without_growth([one.processes for one in counts])
    assert after.mounts <= before.mounts


async def test_no_zombie_is_left_and_no_key_lives_for_ever(cluster: Cluster) -> None:
    await burden(cluster, 20)
    await settled(cluster)
    names = Keys()
    lanes = [names.lane(lane, "default") for lane in Lane]
    lasting = {names.cancels, names.dead, names.environments, *lanes}
    family = {cluster.worker.pid, *descendants(cluster.worker.pid)}
    keys = {key.decode() for key in cluster.redis.scan_iter()}

    assert [pid for pid in family if not runs(pid)] == []
    assert {key for key in keys if cluster.redis.ttl(key) == -1} <= lasting
    assert [cluster.redis.xlen(lane) for lane in lanes] == [0, 0]


def _at_rest(worker: Service) -> bool:
    before = descendants(worker.pid)
    time.sleep(0.3)
    return worker.busy == 0 and descendants(worker.pid) == before


def _rss_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
