"""A Redis at its `maxmemory`, against real processes: 429 for what is new, and all that was accepted is done."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import batch_calls as calls
import pytest
import pytest_asyncio
from batch_calls import each_once, jsonl
from cluster import Answer, Cluster, post

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [pytest.mark.jail, pytest.mark.timeout(120)]
MIB = 1 << 20


@pytest_asyncio.fixture(scope="module")
async def cluster() -> AsyncIterator[Cluster]:
    """Of the bare interpreter."""
    with Cluster(None) as opened:
        opened.start_coordinator()
        await opened.ready()
        yield opened


async def test_what_is_over_the_memory_is_refused_and_what_was_accepted_is_done(cluster: Cluster) -> None:
    cluster.redis.config_set("maxmemory", cluster.redis.info("memory")["used_memory"] + 40 * MIB)
    job = {"code": "import time; time.sleep(0.1); print(len(input()))", "stdin": "x" * MIB}
    told: list[Answer] = []
    try:
        async with cluster.client() as http:
            for _ in range(20):
                told += await asyncio.gather(*(post(http, job, path="/v1/jobs") for _ in range(10)))
                if any(answer.code == 429 for answer in told):
                    break
            accepted = [answer.body["id"] for answer in told if answer.code == 202]
            refused = [answer.body for answer in told if answer.code != 202]
            assert {body["type"] for body in refused} == {"urn:evalpool:problem:queue-full"}
            assert refused[0]["safe_to_retry"]
            assert (await http.get("/readyz")).status_code == 200
            for job_id in accepted:
                await _done(cluster, job_id)
            assert (await cluster.eval("print(1)")).stdout == "1\n"
    finally:
        cluster.redis.config_set("maxmemory", 0)

    assert accepted


async def test_a_batch_outlives_a_time_without_any_memory(cluster: Cluster) -> None:
    items = [{"custom_id": f"item-{n}", "code": f"import time; time.sleep(0.2); print({n})"} for n in range(60)]
    batch = await calls.submit(cluster, jsonl(items))
    async with cluster.client() as http:

        async def completed() -> int:
            return int((await http.get(f"/v1/batches/{batch}")).json()["completed"])

        while await completed() < 5:  # noqa: ASYNC110  the server is asked, not told
            await asyncio.sleep(0.05)
        cluster.redis.config_set("maxmemory", 1)
        try:
            before = await completed()
            await asyncio.sleep(6)  # longer than a worker's notice lives
            assert await completed() > before, "what is on the lane goes on"
            assert (await http.get("/readyz")).status_code == 200
            assert (await cluster.eval("print(1)")).verdict == "queue-full"
        finally:
            cluster.redis.config_set("maxmemory", 0)
    if not cluster.alive("coordinator"):  # RQ's own commands were refused; `up` and Kubernetes start it again as well
        cluster.start_coordinator()

    assert each_once(await calls.results(cluster, batch), 60)


async def _done(cluster: Cluster, job_id: str) -> None:
    async with cluster.client() as http:
        state = {}
        while state.get("state") != "done":
            state = (await http.get(f"/v1/jobs/{job_id}")).json()
            await asyncio.sleep(0.05)
        assert state["result"]["stdout"] == f"{MIB}\n"
