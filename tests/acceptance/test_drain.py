"""Scaling in under load: nothing is lost, and nobody waits for it."""

from __future__ import annotations

import asyncio
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx2
import pytest
import pytest_asyncio
from cluster import SLOTS, Cluster, post, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cluster import Answer

pytestmark = [pytest.mark.jail, pytest.mark.timeout(300)]
TAKEOVER_S = 5.0
"""A lease: whose answer came sooner did not wait for a dead worker's job to be taken over."""
RATE = 30


@pytest_asyncio.fixture(scope="module")
async def pair() -> AsyncIterator[Cluster]:
    """Two workers; each test leaves one that serves."""
    with Cluster(None) as opened:
        opened.start_worker()
        await opened.ready()
        yield opened


@asynccontextmanager
async def steady(cluster: Cluster) -> AsyncIterator[list[Answer]]:
    """Short programs at a rate that one worker could do too, whoever answers late; their answers, once it is over."""
    answers: list[Answer] = []
    over = asyncio.Event()

    async def load() -> None:
        evals = []
        async with cluster.client() as http:
            while not over.is_set():
                code = f"import time; time.sleep(0.02); print({len(evals)})"
                evals.append(asyncio.create_task(post(http, code)))
                await asyncio.sleep(1 / RATE)
            answers.extend(await asyncio.gather(*evals))

    loading = asyncio.create_task(load())
    yield answers
    over.set()
    await loading


def all_answered(answers: list[Answer]) -> bool:
    return [(one.verdict, one.stdout) for one in answers] == [("ok", f"{n}\n") for n in range(len(answers))]


async def test_a_worker_that_leaves_under_load_delays_nobody(pair: Cluster) -> None:
    leaving = pair.alive("worker")[0]
    async with steady(pair) as answers:
        long = asyncio.create_task(pair.evals(*["import time; time.sleep(1); print('long')"] * (SLOTS + 1)))
        await until(lambda: leaving.busy > 0, "work")
        leaving.process.send_signal(signal.SIGTERM)
        await until(lambda: not leaving.alive, "the end")
        longs = await long

    assert leaving.process.returncode == 0
    assert len(answers) > RATE / 2
    assert all_answered(answers)
    assert {one.verdict for one in longs} == {"ok"}
    assert {one.body["attempt"] for one in [*answers, *longs]} == {1}, "none ran twice"
    assert max(one.took_s for one in answers) < TAKEOVER_S
    assert pair.worker.metric("evalpool_redeliveries_total") == 0


async def test_the_only_worker_is_replaced_under_load(pair: Cluster) -> None:
    """A rolling upgrade: the next one is ready before the last one leaves."""
    async with steady(pair) as answers:
        old = pair.worker
        pair.start_worker()
        await pair.ready()
        assert await asyncio.to_thread(old.stop) == 0

    assert len(answers) > RATE / 2
    assert all_answered(answers)
    assert {one.body["attempt"] for one in answers} == {1}
    assert max(one.took_s for one in answers) < TAKEOVER_S


async def test_what_is_given_back_runs_elsewhere_at_once(pair: Cluster) -> None:
    """Programs that are longer than the drain: no lease has to run out."""
    leaving = pair.start_worker(EVAL_DRAIN_S=0.3)
    await pair.ready()
    programs = [f"import time; time.sleep(1); print({number})" for number in range(2 * SLOTS + 1)]
    load = asyncio.create_task(pair.evals(*programs))
    await until(lambda: leaving.busy > 0, "work")
    leaving.process.send_signal(signal.SIGTERM)
    answers = await load

    assert leaving.process.wait(10) == 0
    assert all_answered(answers)
    assert {one.body["attempt"] for one in answers} == {1}
    assert max(one.took_s for one in answers) < 1 + TAKEOVER_S


async def test_an_api_that_leaves_answers_whom_it_let_in(pair: Cluster) -> None:
    """It says that it is not ready, and serves on until load balancers have heard."""
    staying, leaving = pair.api, pair.start_api(EVAL_DRAIN_DELAY_S=1)
    await pair.serving(leaving)
    waiting = asyncio.create_task(pair.evals("import time; time.sleep(2); print(0)", api=leaving))
    await until(lambda: pair.worker.busy > 0, "work")
    leaving.process.send_signal(signal.SIGTERM)
    async with pair.client(leaving) as http:
        async with asyncio.timeout(5):
            while (await http.get("/readyz")).status_code != 503:
                pass
        late = await pair.evals("print(0)", api=leaving)

    assert all_answered(late)
    assert all_answered(await waiting)
    assert leaving.process.wait(10) == 0
    with pytest.raises(httpx2.ConnectError):
        async with pair.client(leaving) as http:
            await http.get("/healthz")
    assert all_answered(await pair.evals("print(0)", api=staying))
