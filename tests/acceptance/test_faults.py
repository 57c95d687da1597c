"""Real kills under load: every accepted job gets one visible result or a clear error within its deadline, and the
cluster serves again without help."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from typing import TYPE_CHECKING

import pytest
from cluster import SLOTS, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from cluster import Answer, Cluster

pytestmark = [pytest.mark.jail, pytest.mark.timeout(180)]
RECOVERY_S = 20.0
"""A lease of 5 s, the next look of a reclaiming worker, and the run."""


def naps(count: int, seconds: float = 0.1) -> list[str]:
    """Programs that say which one they are, after a while."""
    return [f"import time; time.sleep({seconds}); print({number})" for number in range(count)]


def each_has_its_own(answers: list[Answer]) -> bool:
    return [(one.verdict, one.stdout) for one in answers] == [("ok", f"{n}\n") for n in range(len(answers))]


async def under_load(cluster: Cluster, programs: list[str], fault: Callable[[], object]) -> list[Answer]:
    """Post all at once, do the harm when slots are busy."""
    load = asyncio.create_task(cluster.evals(*programs))
    worker = cluster.alive("worker")[0]
    await until(lambda: worker.busy == min(SLOTS, len(programs)), "busy slots")
    fault()
    return await load


async def serves(cluster: Cluster) -> bool:
    """Whether all slots answer, and quickly."""
    answers = await cluster.evals(*naps(2 * SLOTS, 0.01))
    return each_has_its_own(answers) and max(answer.took_s for answer in answers) < 5


@pytest.mark.parametrize("victims", ["zygotes", "jails"])
async def test_a_dead_jail_is_replaced_and_its_jobs_run_again(cluster: Cluster, victims: str) -> None:
    worker = cluster.worker
    before: set[int] = getattr(worker, victims)()
    answers = await under_load(cluster, naps(6 * SLOTS), lambda: _kill(before))

    assert len(before) >= 2, "one for each tier"
    assert each_has_its_own(answers)
    assert {answer.body["attempt"] for answer in answers} == {1}, "the worker itself ran them again"
    await until(lambda: len(getattr(worker, victims)() - before) == len(before), "new ones")
    assert await serves(cluster)


async def test_a_dead_workers_jobs_run_on_another(mortal: Cluster) -> None:
    first = mortal.worker
    mortal.start_worker()
    await mortal.ready()
    answers = await under_load(mortal, naps(3 * SLOTS, 0.5), first.kill)

    assert each_has_its_own(answers)
    again = [answer for answer in answers if answer.body["attempt"] == 2]
    assert 1 <= len(again) <= SLOTS
    assert max(answer.took_s for answer in answers) < RECOVERY_S
    assert await serves(mortal)


async def test_the_only_workers_jobs_wait_for_the_next_one(mortal: Cluster) -> None:
    def replace() -> None:
        mortal.worker.kill()
        mortal.start_worker()

    answers = await under_load(mortal, naps(3 * SLOTS, 0.5), replace)

    assert each_has_its_own(answers)
    assert sum(answer.body["attempt"] == 2 for answer in answers) == SLOTS
    assert max(answer.took_s for answer in answers) < RECOVERY_S + 2
    assert await serves(mortal)


async def test_a_dead_api_breaks_its_connections_only(mortal: Cluster) -> None:
    worker = mortal.worker
    answers = await under_load(mortal, naps(SLOTS, 1), mortal.api.kill)

    assert [answer.code for answer in answers] == [0] * SLOTS
    mortal.start_api()
    await mortal.ready()
    assert await serves(mortal)
    await until(lambda: worker.busy == 0, "free slots")


async def test_an_outage_of_valkey_longer_than_a_lease_is_waited_out(mortal: Cluster) -> None:
    """By what waits, by programs that end meanwhile; what is sent meanwhile hears of it or waits."""
    load = asyncio.create_task(mortal.evals(*naps(3 * SLOTS, 0.5)))
    await until(lambda: mortal.worker.busy == SLOTS, "busy slots")
    mortal.valkey.kill()
    late = asyncio.create_task(mortal.evals(*naps(2)))
    await asyncio.sleep(5.2)
    mortal.start_valkey()
    answers = await load

    assert each_has_its_own(answers)
    assert {answer.body["attempt"] for answer in answers} == {1}, "none ran twice"
    assert all(answer.verdict in ("ok", "queue-unavailable") for answer in await late)
    assert await serves(mortal)


async def test_wiped_data_are_clear_errors_within_the_deadline(mortal: Cluster) -> None:
    hurried = mortal.start_api(EVAL_QUEUE_TIMEOUT_S=0.5)
    await mortal.ready()
    programs = [{"code": code, "timeout_s": 0.5} for code in naps(4 * SLOTS, 0.4)]
    load = asyncio.create_task(mortal.evals(*programs))
    await until(lambda: mortal.worker.busy == SLOTS, "busy slots")
    mortal.redis.flushall()
    answers = await load
    hurried.stop()

    assert {answer.verdict for answer in answers} <= {"ok", "no-reply", "queue-unavailable"}
    assert "no-reply" in {answer.verdict for answer in answers}
    assert max(answer.took_s for answer in answers) < 0.5 + 0.5 + 2 + 10, "queue, run, grace, slack"
    assert await serves(mortal)


async def test_a_drained_worker_loses_nothing_and_exits_0(mortal: Cluster) -> None:
    """What does not end in time is given back, and counts as never begun."""
    leaving = mortal.start_worker(EVAL_DRAIN_S=0.5)
    await mortal.ready()
    load = asyncio.create_task(mortal.evals(*naps(3 * SLOTS, 1.5)))
    await until(lambda: leaving.busy == SLOTS, "busy slots")
    leaving.process.send_signal(signal.SIGTERM)
    answers = await load

    assert leaving.process.wait(10) == 0
    assert each_has_its_own(answers)
    assert {answer.body["attempt"] for answer in answers} == {1}
    assert await serves(mortal)


async def test_a_worker_leaves_soon_while_valkey_is_away(mortal: Cluster) -> None:
    leaving = mortal.start_worker(EVAL_DRAIN_S=1)
    await mortal.ready()
    load = asyncio.create_task(mortal.evals(*naps(2 * SLOTS, 1)))
    await until(lambda: leaving.busy == SLOTS, "busy slots")
    mortal.valkey.kill()
    leaving.process.send_signal(signal.SIGTERM)
    await until(lambda: not leaving.alive, "the end", within_s=12)
    mortal.start_valkey()

    assert leaving.process.returncode == 0
    assert each_has_its_own(await load)


async def test_a_client_that_hangs_up_frees_the_slot_at_once(mortal: Cluster) -> None:
    worker = mortal.worker
    load = asyncio.create_task(mortal.evals(*naps(SLOTS, 30)))
    await until(lambda: worker.busy == SLOTS, "busy slots")
    load.cancel()

    await until(lambda: worker.busy == 0, "free slots", within_s=10)
    assert await serves(mortal)


async def test_a_slow_client_holds_nobody_up(mortal: Cluster) -> None:
    """It has sent half of its request; and another one does not read its answer."""
    body = json.dumps({"code": "print('x' * 1_000_000)"}).encode()
    head = f"POST /v1/eval HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {mortal.token}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    with (
        socket.create_connection(("127.0.0.1", mortal.api.port)) as sender,
        socket.create_connection(("127.0.0.1", mortal.api.port)) as reader,
    ):
        sender.sendall(head.encode() + body[:10])
        reader.sendall(head.encode() + body)
        assert await serves(mortal)
        sender.sendall(body[10:])
        answers = [await asyncio.to_thread(_rest, one) for one in (sender, reader)]

    assert [answer.startswith(b"HTTP/1.1 200") for answer in answers] == [True, True]
    assert [answer.count(b"x" * 1_000_000) for answer in answers] == [1, 1]


async def test_the_deadline_kills_what_runs_and_drops_what_waits(mortal: Cluster) -> None:
    patient, hurried = mortal.api, mortal.start_api(EVAL_QUEUE_TIMEOUT_S=0.5)
    await mortal.ready()
    long = asyncio.create_task(mortal.evals(*naps(SLOTS, 1), api=patient))
    await until(lambda: mortal.worker.busy == SLOTS, "busy slots")
    running = {"code": "import time; time.sleep(5)", "timeout_s": 1.2}
    waiting = {"code": "import time; time.sleep(5)", "timeout_s": 0.1}
    answers = await mortal.evals(running, waiting, api=hurried)
    hurried.stop()

    assert each_has_its_own(await long)
    assert [(answer.code, answer.verdict) for answer in answers] == [(503, "expired")] * 2
    assert max(answer.took_s for answer in answers) < 0.5 + 1.2 + 0.5
    assert await serves(mortal)


def _kill(pids: set[int]) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def _rest(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(1 << 16), b""))
