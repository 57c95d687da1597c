"""Two real Redis, one killed and started again under load: the other's share of the jobs does not feel it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, NamedTuple

import pytest
from cluster import Answer, Cluster, post, until

if TYPE_CHECKING:
    import httpx2
    from conftest import ValkeyServer

pytestmark = [pytest.mark.jail, pytest.mark.timeout(90)]
RATE, OUTAGE_S = 30, 4.0


class Seen(NamedTuple):
    """An answer, and when its request was sent (monotonic)."""

    sent_at: float
    number: int
    answer: Answer


class Load:
    """A program every so often, whatever became of those before it, until told to stop."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self.seen: list[Seen] = []
        self._http, self._going = http, True
        self._task = asyncio.create_task(self._send())

    async def stop(self) -> None:
        self._going = False
        await self._task

    def between(self, start: float, end: float) -> list[Seen]:
        return [seen for seen in self.seen if start <= seen.sent_at < end]

    async def _send(self) -> None:
        async with asyncio.TaskGroup() as calls:
            number = 0
            while self._going:
                calls.create_task(self._call(number))
                number += 1
                await asyncio.sleep(1 / RATE)

    async def _call(self, number: int) -> None:
        sent_at = time.monotonic()
        answer = await post(self._http, f"print({number})")
        self.seen.append(Seen(sent_at, number, answer))


async def test_a_dead_redis_of_two_costs_its_share_only_and_comes_back(mortal_valkey: ValkeyServer) -> None:
    cluster = Cluster(None)
    cluster._settings["EVAL_REDIS_URL"] = f"{cluster.redis_url},{mortal_valkey.url}"
    with cluster:
        cluster.start_worker()
        await cluster.ready()
        async with cluster.client() as http:
            load = Load(http)
            await until(lambda: len(load.seen) > 50, "some load")
            queued = [(await http.post("/v1/jobs", json={"code": f"print({n})"})).json()["id"] for n in range(20)]
            mortal_valkey.kill()
            killed_at = time.monotonic()
            await asyncio.sleep(OUTAGE_S)
            ready = await http.get("/readyz")
            mortal_valkey.start()
            started_at = time.monotonic()
            await asyncio.sleep(4)
            settled_at = time.monotonic()
            await asyncio.sleep(1.5)
            await load.stop()
            views = [(await http.get(f"/v1/jobs/{job_id}?wait_s=10")).json() for job_id in queued]

        outage = load.between(killed_at + 1, started_at)
        quick = [seen for seen in outage if seen.answer.verdict == "ok" and seen.answer.took_s < 1]
        after = load.between(settled_at, time.monotonic())

        assert {seen.answer.verdict for seen in load.seen} == {"ok", "queue-unavailable"}
        assert all(seen.answer.stdout == f"{seen.number}\n" for seen in load.seen if seen.answer.verdict == "ok")
        assert (ready.status_code, ready.json()) == (200, {"status": "degraded", "unreachable": ["Redis 2 of 2"]})
        assert len(quick) / len(outage) > 0.3, "about half of the jobs live on the other"
        assert max(seen.answer.took_s for seen in outage) < OUTAGE_S + 5, "clear errors, in time"
        assert len(after) > RATE
        assert {seen.answer.verdict for seen in after} == {"ok"}
        assert [view["result"]["stdout"] for view in views] == [f"{n}\n" for n in range(20)], "none was lost"
