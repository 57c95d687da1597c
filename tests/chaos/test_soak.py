"""Steady load of every kind for a while: nothing grows, and zygotes are replaced under it all the time.

`EVAL_SOAK_S` makes it longer (`make soak`: five minutes).
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sweep
from cluster import SLOTS, Cluster, cgroups_of, post, until
from processes import descendants

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = float(os.environ.get("EVAL_SOAK_S", "2"))
ROUNDS = 3
"""After each the cluster rests and is counted; the last must not have more than the largest before it."""
ZYGOTE_CELLS = 40
LOOK_S = 1.5
"""Longer than a pool takes to find a zygote worn and to begin with another: it looks once a second."""
MIB = 1 << 20
_LOGS = "worker-*/jails/*/*/log"
"""One of each jail."""
MIXED = (
    ("ok", {"code": "print(1)"}),
    ("ok", {"code": "import numpy; print(numpy.arange(9).sum())"}),
    ("ok", {"code": "import asyncio; asyncio.run(asyncio.sleep(0.01))"}),
    ("ok", {"code": "open('a', 'w').write('x' * 100_000)", "outputs": ["*"], "files": {"b.txt": "b"}}),
    ("ok", {"code": "print('x' * 1_000_000)"}),
    ("error", {"code": "raise SystemExit(3)"}),
    ("error", {"code": "import os\nwhile True: os.fork()"}),
    ("timeout", {"code": "while True: pass", "timeout_s": 0.2}),
    ("timeout", {"code": "import os, time\nif os.fork() == 0: os.setsid()\ntime.sleep(60)", "timeout_s": 0.2}),
    ("memory", {"code": "x = [bytearray(1 << 20) for _ in range(9999)]", "memory_bytes": 64 << 20}),
    ("output", {"code": "while True: print('x' * 10_000)"}),
    ("killed", {"code": "import os; os.kill(os.getpid(), 11)"}),
)
MAY_GROW = {
    "worker_bytes": 4 * MIB,
    "api_bytes": 4 * MIB,
    "descriptors": 60,  # a few more cells may be warm; a leak would show once per eval or once per zygote
    "processes": 12,
    "cgroups": 18,  # six slots that are used for the first time: one per controller
}
pytestmark = [pytest.mark.jail, pytest.mark.timeout(240 + 2 * SECONDS)]


@dataclass(frozen=True, kw_only=True)
class Census:
    """What a cluster at rest holds."""

    worker_bytes: int
    api_bytes: int
    descriptors: int
    processes: int
    cgroups: int
    mounts: int
    folders: int
    zombies: int
    lasting_keys: int


@pytest.fixture
def soaked(environment_root: Path) -> Iterator[Cluster]:
    with Cluster(environment_root, EVAL_ZYGOTE_CELLS=ZYGOTE_CELLS) as cluster:
        yield cluster


async def test_soak(soaked: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    await soaked.ready()
    tiers = len(soaked.worker.jails())
    verdicts: Counter[str] = Counter()
    censuses = []
    for _ in range(ROUNDS):
        verdicts += await _round(soaked, SECONDS / ROUNDS)
        await _rest(soaked, tiers)
        censuses.append(_census(soaked))
    *before, last = map(asdict, censuses)
    growth = {name: last[name] - max(census[name] for census in before) for name in last}
    replaced = int(soaked.worker.metric("evalpool_zygote_ends_total"))
    with capsys.disabled():
        sys.stdout.write(f"\nsoak: {SECONDS:.0f} s, evals {verdicts.total()} ({dict(verdicts)}), ")
        sys.stdout.write(f"zygotes replaced {replaced}, growth {growth}\n")

    assert [name for name in verdicts if name.startswith("not ")] == []
    assert {name: by for name, by in growth.items() if by > MAY_GROW.get(name, 0)} == {}
    assert replaced >= verdicts.total() // (4 * ZYGOTE_CELLS)
    assert soaked.worker.metric("evalpool_cell_faults_total") == 0


async def _round(cluster: Cluster, seconds: float) -> Counter[str]:
    """Every kind in turn from twice as many callers as there are slots; verdicts, "not X" where it should be X."""
    end, verdicts = time.monotonic() + seconds, Counter[str]()

    async def caller(number: int) -> None:
        while time.monotonic() < end:
            expected, request = MIXED[number % len(MIXED)]
            answer = await post(http, request)
            verdicts[expected if answer.verdict == expected else f"not {expected} but {answer.verdict}"] += 1
            number += 1

    async with cluster.client() as http:
        await asyncio.gather(*(caller(5 * number) for number in range(2 * SLOTS)))
    return verdicts


async def _rest(cluster: Cluster, tiers: int) -> None:
    """Nothing runs, worn zygotes are gone, and each tier has one."""
    folders = cluster.state / "run"
    await until(lambda: len(cluster.worker.jails()) == tiers, "one zygote for each tier", within_s=20)
    await until(lambda: len(list(folders.glob(_LOGS))) == tiers, "the end of worn zygotes", within_s=20)
    await until(lambda: cluster.worker.busy == 0 and _stays(cluster, tiers), "rest", within_s=20)


def _stays(cluster: Cluster, tiers: int) -> bool:
    """Whether no zygote was found worn and replaced, nor anything else changed, while the pools had a look."""
    before = descendants(cluster.worker.pid)
    time.sleep(LOOK_S)
    return descendants(cluster.worker.pid) == before and len(cluster.worker.jails()) == tiers


def _census(cluster: Cluster) -> Census:
    worker, api = cluster.worker.pid, cluster.api.pid
    return Census(
        worker_bytes=_rss_bytes(worker),
        api_bytes=_rss_bytes(api),
        descriptors=sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in (worker, api)),
        processes=len(descendants(worker)),
        cgroups=len(cgroups_of(worker)),
        mounts=Path(f"/proc/{worker}/mountinfo").read_text().count(str(cluster.state)),  # others mount too
        folders=len(list((cluster.state / "run").glob(_LOGS))),
        zombies=len(sweep.zombies_of(cluster)),
        lasting_keys=sum(cluster.redis.ttl(key) == -1 for key in cluster.redis.scan_iter()),
    )


def _rss_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
