"""`POST /v1/eval`: what the caller sends reaches the job, what became of the job reaches the caller."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import TYPE_CHECKING

import pytest

from api.schemas import EvalResponse
from jobs.errors import BrokerUnavailable, LaneFull, WireError
from jobs.model import Job, JobResult, Lane, Reason, Status

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    import httpx2
    from api_fakes import FakeBroker

    Served = Callable[[], AbstractAsyncContextManager[int]]


async def test_every_field_reaches_the_job(client: httpx2.AsyncClient, broker: FakeBroker) -> None:
    body = {
        "code": "print(1)",
        "stdin": "in",
        "files": {"a/b.txt": "caf\u00e9", "c.bin": {"base64": base64.b64encode(b"\xff\0").decode()}},
        "args": ["-x", "1"],
        "env": {"A": "1"},
        "environment": "science",
        "timeout_s": 3,
        "memory_bytes": 64 << 20,
        "outputs": ["*.png"],
        "interpreter_mode": True,
        "strace": True,
    }
    before = time.time()
    reply = await client.post("/v1/eval", json=body)
    job = broker.last

    assert job == Job(
        id=reply.json()["id"],
        code="print(1)",
        stdin="in",
        files={"a/b.txt": "caf\u00e9".encode(), "c.bin": b"\xff\0"},
        args=("-x", "1"),
        env={"A": "1"},
        environment="science",
        timeout_s=3,
        memory_bytes=64 << 20,
        outputs=("*.png",),
        interpreter_mode=True,
        strace=True,
        lane=Lane.SINGLE,
        submitted_at=job.submitted_at,
        deadline_at=job.submitted_at + 33,
        reply_to=broker.id,
    )
    assert before <= job.submitted_at <= time.time()


async def test_defaults_are_the_settings(client: httpx2.AsyncClient, broker: FakeBroker) -> None:
    await client.post("/v1/eval/", json={"code": "1"})
    job = broker.last

    assert (
        job.timeout_s,
        job.memory_bytes,
        job.output_bytes,
        job.environment,
    ) == (10.0, 256 << 20, 1 << 20, "default")


async def test_every_fact_of_the_result_reaches_the_caller(client: httpx2.AsyncClient, broker: FakeBroker) -> None:
    broker.answer = lambda job: JobResult(
        job_id=job.id,
        status=Status.OUTPUT,
        stdout="out\ufffd",
        stderr="err",
        signal=9,
        stdout_truncated=True,
        files={"a.bin": b"\xfb\xff\xfe"},
        figures=(b"\x89PNG",),
        display=({"text/plain": "2"},),
        wall_ms=12.34567,
        cpu_ms=3.0,
        memory_bytes=99,
        queue_ms=0.5,
        run_ms=13.0,
        attempt=2,
        warm=True,
    )
    reply = await client.post("/v1/eval", json={"code": "1"})
    answer = reply.json()

    assert 0 < answer["timing"].pop("total_ms") < 5000
    assert answer == {
        "id": broker.last.id,
        "status": "output",
        "stdout": "out\ufffd",
        "stderr": "err",
        "exit_code": None,
        "signal": 9,
        "stdout_truncated": True,
        "stderr_truncated": False,
        "files": {"a.bin": {"base64": "+//+"}},
        "figures": [{"format": "png", "base64": "iVBORw=="}],
        "display": [{"text/plain": "2"}],
        "compile": None,
        "usage": {"wall_ms": 12.346, "cpu_ms": 3.0, "memory_bytes": 99},
        "timing": {"queue_ms": 0.5, "run_ms": 13.0},
        "attempt": 2,
        "warm": True,
    }
    EvalResponse.model_validate_json(reply.content)


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.INTERNAL])
async def test_a_program_that_ran_is_200_whatever_it_did(
    client: httpx2.AsyncClient, broker: FakeBroker, status: Status
) -> None:
    broker.answer = lambda job: JobResult(job_id=job.id, status=status)
    reply = await client.post("/v1/eval", json={"code": "1"})

    assert (200, status) == (reply.status_code, reply.json()["status"])


@pytest.mark.parametrize(
    ("reason", "status", "again"),
    [
        (Reason.EXPIRED, 503, True),
        (Reason.SANDBOX, 500, True),
        (Reason.ATTEMPTS, 500, True),
        (Reason.ENVIRONMENT, 422, False),
        (None, 500, True),
    ],
)
async def test_our_failures_are_problems_with_the_job_id(
    client: httpx2.AsyncClient, broker: FakeBroker, reason: Reason | None, status: int, *, again: bool
) -> None:
    broker.answer = lambda job: JobResult(job_id=job.id, status=Status.INTERNAL, reason=reason, message="why")
    reply = await client.post("/v1/eval", json={"code": "1"})
    problem = reply.json()

    assert (status, broker.last.id, again) == (reply.status_code, problem["job_id"], problem["safe_to_retry"])
    assert "(why)" in problem["detail"]
    assert ("retry-after" in reply.headers) == (status == 503)


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (LaneFull(lane="single", depth=10_000, bound=10_000), 429),
        (BrokerUnavailable("redis://:password@host"), 503),
        (WireError("print('SECRET')"), 500),
        (RuntimeError("print('SECRET')"), 500),
    ],
)
async def test_a_submit_that_fails_forgets_the_job_and_tells_when_to_come_back(
    client: httpx2.AsyncClient, broker: FakeBroker, fault: Exception, status: int
) -> None:
    broker.fault = fault
    reply = await client.post("/v1/eval", json={"code": "1"})
    problem = reply.json()
    await asyncio.sleep(0)

    assert (status, True, {}) == (reply.status_code, problem["safe_to_retry"], broker.waiting)
    assert reply.headers.get("retry-after") == (str(problem["retry_after_s"]) if status != 500 else None)
    assert "SECRET" not in reply.text
    assert "password" not in reply.text


async def test_a_lost_reply_is_told_at_the_deadline(
    client: httpx2.AsyncClient, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.routes.evals.GRACE_S", -30.0)
    broker.answer = lambda _: None
    reply = await client.post("/v1/eval", json={"code": "1", "timeout_s": 0.1})

    assert (503, broker.last.id) == (reply.status_code, reply.json()["job_id"])
    assert broker.cancelled.get_nowait() == broker.last.id


async def _hang_up_after_post(port: int, path: str) -> None:
    body = json.dumps({"code": "while True: pass"}).encode()
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer s3cret-token\r\nContent-Type: application/json\r\n"
    )
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    await writer.drain()
    await asyncio.sleep(0.1)
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("path", ["/v1/eval", "/"])
async def test_a_caller_who_hangs_up_cancels_the_job(served: Served, broker: FakeBroker, path: str) -> None:
    broker.answer = lambda _: None
    async with served() as port:
        await _hang_up_after_post(port, path)
        cancelled = await asyncio.wait_for(broker.cancelled.get(), timeout=20)

    assert (broker.last.id, {}) == (cancelled, broker.waiting)


async def test_a_caller_who_hangs_up_mid_body_submits_nothing(served: Served, broker: FakeBroker) -> None:
    async with served() as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"POST /v1/eval HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer s3cret-token\r\n"
            b'Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"code'
        )
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.close()

    assert not broker.submitted


async def test_a_slow_job_is_answered_on_a_watched_connection(served: Served, broker: FakeBroker) -> None:
    loop = asyncio.get_running_loop()

    def later(job: Job) -> None:
        loop.call_later(0.15, lambda: broker.finish(JobResult(job_id=job.id, status=Status.OK, stdout="late")))

    broker.answer = later
    async with served() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(2):  # the connection serves the next request too
            writer.write(
                b"POST /v1/eval HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer s3cret-token\r\n"
                b'Content-Type: application/json\r\nContent-Length: 12\r\n\r\n{"code":"1"}'
            )
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            assert b"late" in await reader.readexactly(length)
        writer.close()

    assert broker.cancelled.empty()
