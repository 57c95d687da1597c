"""One batch, and each kind of process killed -9 once under it: every item has its one result in the end.

`EVAL_CHAOS_ITEMS` makes it larger (`make chaos`).
"""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import batch_calls as calls
import pytest
import pytest_asyncio
from batch_calls import each_once, jsonl, programs
from cluster import Cluster, Service, children, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ITEMS = int(os.environ.get("EVAL_CHAOS_ITEMS", "240"))
NAP_S = 0.03
CROWDED = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
"""How many want each processor: what takes 10 s on a machine of its own takes longer here."""
LIMIT_S = (60 + ITEMS * NAP_S) * CROWDED
BACK_S = 10.0 * CROWDED
"""Within which a batch goes on whose `rq worker` and work-horse were killed."""

MANY = 1_000
MORE = 70
"""Items that are more than were on the lane when the coordinator died."""

pytestmark = [pytest.mark.jail, pytest.mark.timeout(LIMIT_S + 30)]


@pytest_asyncio.fixture
async def cluster() -> AsyncIterator[Cluster]:
    with Cluster(None) as opened:
        opened.start_coordinator()
        opened.start_coordinator()
        await opened.ready()
        yield opened


async def test_every_item_has_one_result_whatever_is_killed(cluster: Cluster) -> None:
    nap = f"import time; time.sleep({NAP_S}); print({{}})"
    batch = await calls.submit(cluster, jsonl(programs(ITEMS, nap)))
    following = asyncio.create_task(calls.all_results(cluster, batch, LIMIT_S))

    await completed(cluster, batch, 0.1)
    os.kill(horse(await working(cluster)), signal.SIGKILL)

    await completed(cluster, batch, 0.25)
    cluster.worker.kill()
    cluster.start_worker()

    await completed(cluster, batch, 0.4)
    killed = await working(cluster)
    os.kill(horse(killed), signal.SIGKILL)
    killed.kill()
    before = (await calls.view(cluster, batch))["completed"]
    async with asyncio.timeout(BACK_S):
        await completed(cluster, batch, (before + MORE) / ITEMS)

    if ITEMS > MANY:  # the parent alone: its work-horse lives on, and meets a twin
        await completed(cluster, batch, 0.6)
        cluster.start_coordinator()
        (await working(cluster)).kill()

    cluster.api.kill()
    cluster.start_api()
    await cluster.ready()

    await completed(cluster, batch, 0.85)
    cluster.valkey.kill()
    cluster.start_valkey()
    cluster.start_coordinator()  # RQ's own worker ends when Redis goes away; `evalctl up` starts it again

    found = await following
    assert each_once(found, ITEMS)
    assert (await calls.until(cluster, batch, "done"))["counts"] == {"ok": ITEMS}


async def completed(cluster: Cluster, batch: str, share: float) -> None:
    """Wait until so much of the batch is done."""
    async with asyncio.timeout(LIMIT_S):
        while (await calls.view(cluster, batch))["completed"] < min(share, 0.97) * ITEMS:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def working(cluster: Cluster) -> Service:
    """The coordinator that has the batch."""
    await until(lambda: any(children(one.pid) for one in cluster.alive("coordinator")), "a turn")
    return next(one for one in cluster.alive("coordinator") if children(one.pid))


def horse(coordinator: Service) -> int:
    """Process that RQ forked for the batch's turn."""
    [found] = children(coordinator.pid)
    return found
