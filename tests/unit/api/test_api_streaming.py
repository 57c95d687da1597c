"""`POST /v1/eval` as events: output as it comes, then the result, and together they tell one story."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from api_fakes import TOKEN, printed, wrote

from api import streaming
from evalctl.client import server_sent
from jobs.errors import BrokerUnavailable, LaneFull, WireError
from jobs.model import Job, JobResult, Reason, Status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from api_fakes import FakeBroker

    from jobs.model import Output

    Served = Callable[[], AbstractAsyncContextManager[int]]

ACCEPT = {"accept": "text/event-stream"}
BODY = {"code": "1"}


def told(text: str) -> list[tuple[str, Any]]:
    return [(name, json.loads(data)) for name, data in server_sent(text.splitlines())]


async def streamed(
    client: httpx2.AsyncClient, broker: FakeBroker, *outputs: Output, text: str
) -> list[tuple[str, Any]]:
    def answer(job: Job) -> JobResult:
        for output in outputs:
            broker.hear(output)
        return printed(job, text)

    broker.answer = answer
    reply = await client.post("/v1/eval", json=BODY, headers=ACCEPT)
    events = told(reply.text)
    assert events[-1][0] == "result"
    assert events[-1][1]["stdout"] == text
    return events[:-1]


@asynccontextmanager
async def lines(port: int) -> AsyncIterator[AsyncIterator[str]]:
    """Lines of a streamed eval over a real connection, as they come."""
    headers = ACCEPT | {"authorization": f"Bearer {TOKEN}"}
    async with (
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
        client.stream("POST", "/v1/eval", json=BODY, headers=headers) as reply,
    ):
        assert (reply.status_code, reply.headers["content-type"]) == (200, "text/event-stream")
        yield reply.aiter_lines()


async def test_output_comes_while_the_program_runs_and_the_result_is_the_document_of_an_eval(
    served: Served, broker: FakeBroker
) -> None:
    broker.answer = lambda _: None
    async with served() as port, lines(port) as seen:
        broker.hear(wrote("a\n"))
        assert [await anext(seen) for _ in range(3)] == ["event: stdout", 'data: "a\\n"', ""]
        broker.hear(wrote("oh", stream="stderr"))
        assert [await anext(seen) for _ in range(3)] == ["event: stderr", 'data: "oh"', ""]

        broker.finish(JobResult(job_id=broker.last.id, status=Status.ERROR, stdout="a\n", stderr="oh", exit_code=3))
        assert await anext(seen) == "event: result"
        result = json.loads((await anext(seen)).removeprefix("data: "))
        assert [line async for line in seen] == [""]

    assert result.pop("timing")["total_ms"] > 0
    assert result == {
        "id": broker.last.id,
        "status": "error",
        "stdout": "a\n",
        "stderr": "oh",
        "exit_code": 3,
        "signal": None,
        "stdout_truncated": False,
        "stderr_truncated": False,
        "files": {},
        "figures": [],
        "display": [],
        "compile": None,
        "usage": {"wall_ms": 0.0, "cpu_ms": 0.0, "memory_bytes": 0},
        "attempt": 1,
        "warm": False,
    }


async def test_only_those_who_ask_for_events_get_them(client: httpx2.AsyncClient, broker: FakeBroker) -> None:
    for accept, streams in {
        "text/event-stream": True,
        "Text/Event-Stream; charset=utf-8": True,
        "text/event-stream, application/json;q=0.9": True,
        "text/event-stream, */*": True,
        "application/json, text/event-stream": False,
        "application/json, text/event-stream;q=0.5": False,
        "text/event-stream;q=0": False,
        "text/event-stream;q=x": False,
        "*/*": False,
        "": False,
    }.items():
        reply = await client.post("/v1/eval", json=BODY, headers={"accept": accept})

        assert reply.headers["content-type"] == ("text/event-stream" if streams else "application/json"), accept
        assert broker.last.stream == streams


@pytest.mark.parametrize(
    ("outputs", "text", "expected"),
    [
        pytest.param([], "ab", [("stdout", "ab")], id="none came: an old worker, or Redis was away"),
        pytest.param([wrote("a"), wrote("b", 1)], "ab", [("stdout", "a"), ("stdout", "b")], id="all came"),
        pytest.param([wrote("a")], "ab", [("stdout", "a"), ("stdout", "b")], id="the last was lost"),
        pytest.param([wrote("a"), wrote("c", 2)], "abc", [("stdout", "a"), ("stdout", "bc")], id="one was lost"),
        pytest.param([wrote("a"), wrote("a"), wrote("b", 1)], "ab", [("stdout", "a"), ("stdout", "b")], id="twice"),
        pytest.param(
            [wrote("a"), wrote("x", attempt=2), wrote("b", 1), wrote("y", 1, attempt=2)],
            "xy",
            [("stdout", "a"), ("restart", {"attempt": 2}), ("stdout", "x"), ("stdout", "y")],
            id="a second attempt, and the first worker lives on",
        ),
        pytest.param(
            [wrote("a"), wrote("a", run=2)],
            "a",
            [("stdout", "a"), ("restart", {"attempt": 1}), ("stdout", "a")],
            id="the jail broke and the same worker ran it again",
        ),
        pytest.param([wrote("x", attempt=2)], "x", [("stdout", "x")], id="only the second attempt printed"),
        pytest.param(
            [wrote("random 1")],
            "random 2",
            [("stdout", "random 1"), ("restart", {"attempt": 1}), ("stdout", "random 2")],
            id="a second run of which nothing came",
        ),
        pytest.param([wrote("a")], "", [("stdout", "a"), ("restart", {"attempt": 1})], id="the result has less"),
    ],
)
async def test_pieces_since_the_last_restart_are_the_output_of_the_result(
    client: httpx2.AsyncClient, broker: FakeBroker, outputs: list[Output], text: str, expected: list[tuple[str, Any]]
) -> None:
    events = await streamed(client, broker, *outputs, text=text)
    pieces: list[str] = []
    for name, data in events:
        pieces = [] if name == "restart" else [*pieces, data]

    assert expected == events
    assert "".join(pieces) == text


async def test_no_character_breaks_a_line(client: httpx2.AsyncClient, broker: FakeBroker) -> None:
    """Clients may split lines at everything that Unicode calls a line end."""
    text = "".join(map(chr, range(32))) + "\x7f\x85\u2028\u2029\ufeff\U0001f600\\u2028\nevent: result\n\n"

    assert await streamed(client, broker, wrote(text), text=text) == [("stdout", text)]


@pytest.mark.parametrize(
    ("answer", "slug"),
    [
        (JobResult(job_id="", status=Status.INTERNAL, reason=Reason.EXPIRED, message="why"), "expired"),
        (WireError("print('SECRET')"), "internal"),
    ],
)
async def test_a_failure_of_ours_is_an_error_event(
    served: Served, broker: FakeBroker, answer: JobResult | Exception, slug: str
) -> None:
    broker.answer = lambda _: None
    async with served() as port, lines(port) as seen:
        broker.hear(wrote("a"))
        future = broker.waiting[broker.last.id]
        future.set_exception(answer) if isinstance(answer, Exception) else future.set_result(answer)
        text = "\n".join([line async for line in seen])
    [(piece, _), (name, problem)] = told(text + "\n")

    assert (piece, name, problem["type"]) == ("stdout", "error", f"urn:evalpool:problem:{slug}")
    assert problem["safe_to_retry"]
    assert "SECRET" not in text


async def test_no_reply_is_an_error_event_and_cancels(
    client: httpx2.AsyncClient, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.routes.evals.GRACE_S", -39.9)
    broker.answer = lambda _: None
    reply = await client.post("/v1/eval", json=BODY, headers=ACCEPT)

    assert [(name, data.get("job_id")) for name, data in told(reply.text)] == [("error", broker.last.id)]
    assert broker.cancelled.get_nowait() == broker.last.id
    await asyncio.sleep(0)
    assert broker.waiting == {}


@pytest.mark.parametrize(
    ("fault", "status"), [(LaneFull(lane="single", depth=1, bound=1), 429), (BrokerUnavailable(), 503)]
)
async def test_what_is_refused_before_it_is_queued_is_a_plain_problem(
    client: httpx2.AsyncClient, broker: FakeBroker, fault: Exception, status: int
) -> None:
    broker.fault = fault
    refused = await client.post("/v1/eval", json=BODY, headers=ACCEPT)
    invalid = await client.post("/v1/eval", json={}, headers=ACCEPT)
    await asyncio.sleep(0)

    assert (refused.status_code, invalid.status_code, broker.waiting) == (status, 422, {})
    assert refused.headers["content-type"] == invalid.headers["content-type"] == "application/problem+json"


async def test_a_caller_who_hangs_up_cancels_the_job(served: Served, broker: FakeBroker) -> None:
    broker.answer = lambda _: None
    async with served() as port:
        async with lines(port) as seen:
            broker.hear(wrote("a"))
            await anext(seen)
        cancelled = await asyncio.wait_for(broker.cancelled.get(), timeout=20)

    assert (broker.last.id, {}) == (cancelled, broker.waiting)


async def test_a_caller_who_does_not_read_is_noticed_when_he_hangs_up(served: Served, broker: FakeBroker) -> None:
    """His connection is full; what he did not take yet is held, and is no more than the program may print."""
    broker.answer = lambda _: None
    async with served() as port:
        async with lines(port):
            for number in range(16):
                broker.hear(wrote("x" * (1 << 20), number << 20))
                await asyncio.sleep(0.01)
        cancelled = await asyncio.wait_for(broker.cancelled.get(), timeout=20)

    assert broker.last.id == cancelled


async def test_a_silent_program_keeps_the_connection_alive(
    served: Served, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "KEEP_ALIVE_S", 0.05)
    broker.answer = lambda _: None
    began = time.monotonic()
    async with served() as port, lines(port) as seen:
        assert [await anext(seen) for _ in range(4)] == [": keep-alive", ""] * 2
        broker.finish(printed(broker.last, ""))
        rest = [line async for line in seen if not line.startswith((":", "data"))]

    assert time.monotonic() - began > 0.1
    assert [line for line in rest if line] == ["event: result"]
