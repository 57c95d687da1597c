"""`POST /v1/judge`: the program travels once, the expected output not at all, and our failures are nobody's."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from api_fakes import printed

from api.judge.schemas import JudgeAnswer
from jobs.errors import BrokerUnavailable, LaneFull
from jobs.model import Job, JobResult, Reason, SharedPart, Status

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    import httpx2
    from api_fakes import FakeBroker

    from api.settings import ApiSettings

    Served = Callable[[], AbstractAsyncContextManager[int]]

ECHO = [{"stdin": "1", "expected_stdout": "1\n"}, {"stdin": "2", "expected_stdout": "2\n"}]


def echo(job: Job) -> JobResult:
    return printed(job, f"{job.stdin}\n")


async def judge(client: httpx2.AsyncClient, **fields: Any) -> dict[str, Any]:
    reply = await client.post("/v1/judge", json={"code": "print(input())", "cases": ECHO} | fields)
    assert reply.status_code == 200, reply.text
    JudgeAnswer.model_validate_json(reply.content)
    answer: dict[str, Any] = reply.json()
    return answer


def verdicts(answer: dict[str, Any]) -> list[str | None]:
    return [case["verdict"] for case in answer["cases"]]


async def test_every_field_reaches_the_jobs_and_the_program_travels_once(
    client: httpx2.AsyncClient, broker: FakeBroker
) -> None:
    parts: list[SharedPart] = []
    broker.answer = lambda job: (parts.append(broker.parts[job.shared or ""]), echo(job))[1]
    answer = await judge(
        client,
        files={"a": "1", "b": {"base64": base64.b64encode(b"\xff").decode()}},
        env={"A": "1"},
        environment="science",
        timeout_s=3,
        memory_bytes=64 << 20,
        cases=[{"id": "x", "stdin": "1", "args": ["-v"], "files": {"a": "2"}}, {"expected_stdout": "secret"}],
    )
    first, second = broker.submitted.values()

    assert parts == [SharedPart(code="print(input())", files={"a": b"1", "b": b"\xff"})] * 2
    assert first == Job(
        id=first.id,
        code="",
        stdin="1",
        args=("-v",),
        files={"a": b"2"},
        env={"A": "1"},
        environment="science",
        timeout_s=3,
        memory_bytes=64 << 20,
        submitted_at=first.submitted_at,
        deadline_at=first.submitted_at + 33,
        reply_to=broker.id,
        shared=answer["id"],
    )
    assert "secret" not in repr(second)
    assert [case["id"] for case in answer["cases"]] == ["x", "1"]
    assert (broker.parts, broker.waiting) == ({}, {})


async def test_each_case_has_its_verdict_beside_its_status(client: httpx2.AsyncClient, broker: FakeBroker) -> None:
    def answer(job: Job) -> JobResult:
        status = job.args[0]
        reason = {"internal": Reason.SANDBOX, "cancelled": Reason.CALLER}.get(status)
        return JobResult(job_id=job.id, status=Status(status), reason=reason, stdout="1\n", exit_code=0)

    broker.answer = answer
    cases = [{"args": [status], "expected_stdout": "1\n"} for status in Status]
    told = await judge(client, cases=[*cases, {"args": ["ok"], "expected_stdout": "2"}, {"args": ["error"]}])

    assert {
        case["status"] or case["error"]["type"].rpartition(":")[2]: case["verdict"] for case in told["cases"][:8]
    } == {
        "ok": "passed",
        "error": "failed",
        "timeout": "failed",
        "memory": "failed",
        "output": "failed",
        "killed": "failed",
        "sandbox": None,
        "cancelled": None,
    }
    assert verdicts(told)[8:] == ["failed", "failed"]
    assert [told[name] for name in ("verdict", "passed", "failed", "errors", "not_run")] == ["failed", 1, 7, 2, 0]


@pytest.mark.parametrize(("last", "verdict"), [("2\n", "passed"), ("3\n", "failed")])
async def test_all_must_pass(client: httpx2.AsyncClient, broker: FakeBroker, last: str, verdict: str) -> None:
    broker.answer = echo

    assert (await judge(client, cases=[ECHO[0], ECHO[1] | {"expected_stdout": last}]))["verdict"] == verdict


async def test_a_failure_of_ours_is_nobodys_failure(client: httpx2.AsyncClient, broker: FakeBroker) -> None:
    broker.answer = lambda job: JobResult(job_id=job.id, status=Status.INTERNAL, reason=Reason.SHARED)
    told = await judge(client)

    assert (told["verdict"], told["errors"], told["failed"]) == (None, 2, 0)
    assert told["cases"][0]["error"]["safe_to_retry"] is True


async def test_the_tolerance_is_the_callers(client: httpx2.AsyncClient, broker: FakeBroker) -> None:
    broker.answer = lambda job: printed(job, "1.001\n")
    cases = [{"expected_stdout": "1"}]
    for tolerance, verdict in ((None, "failed"), (0.01, "passed"), ({"relative": 0.01}, "passed"), ({}, "failed")):
        told = await judge(client, cases=cases, compare="float", tolerance=tolerance)
        assert told["verdict"] == verdict, tolerance


async def test_outputs_are_shown_up_to_a_bound_and_compared_whole(
    client: httpx2.AsyncClient, broker: FakeBroker, settings: ApiSettings
) -> None:
    text = "\u00e4" * 100_000
    broker.answer = lambda job: printed(job, text)
    told = await judge(client, cases=[{"expected_stdout": text}, {"expected_stdout": text[1:]}])
    shown = told["cases"][0]["result"]

    assert verdicts(told) == ["passed", "failed"]
    assert (shown["stdout_truncated"], shown["stderr_truncated"]) == (True, False)
    assert len(shown["stdout"].encode()) == settings.judge_output_bytes


async def test_no_more_cases_are_under_way_than_the_window(
    client: httpx2.AsyncClient, broker: FakeBroker, settings: ApiSettings
) -> None:
    most = 0

    def answer(job: Job) -> None:
        nonlocal most
        most = max(most, len(broker.waiting))
        asyncio.get_running_loop().call_later(0.001, lambda: broker.finish(echo(job)))

    broker.answer = answer
    told = await judge(client, cases=[{}] * 100)

    assert (told["passed"], most) == (100, settings.judge_window)


async def test_a_first_failure_stops_the_rest(
    client: httpx2.AsyncClient, broker: FakeBroker, settings: ApiSettings
) -> None:
    broker.answer = lambda job: echo(job) if job.stdin in ("0", "3") else None
    cases = [{"stdin": str(number), "expected_stdout": "0"} for number in range(40)]
    told = await asyncio.wait_for(judge(client, cases=cases, stop_on_first_failure=True), 20)

    assert verdicts(told)[:5] == ["passed", None, None, "failed", None]
    assert (told["verdict"], told["passed"], told["failed"], told["errors"], told["not_run"]) == ("failed", 1, 1, 0, 38)
    cancelled = {broker.cancelled.get_nowait() for _ in range(broker.cancelled.qsize())}
    assert cancelled == {job.id for job in broker.submitted.values() if job.stdin not in ("0", "3")}
    assert len(broker.submitted) <= settings.judge_window + 2


async def test_what_has_not_run_in_time_has_no_verdict(
    broker: FakeBroker, settings: ApiSettings, client_of: Callable[[ApiSettings], Any]
) -> None:
    broker.answer = lambda job: echo(job) if job.stdin == "1" else None
    async with client_of(settings.model_copy(update={"max_judge_s": 0.2})) as client:
        told = await judge(client)

    assert (verdicts(told), told["errors"], told["verdict"]) == (["passed", None], 1, None)
    assert told["cases"][1]["error"]["type"].endswith(":expired")


@pytest.mark.parametrize(
    ("fault", "status"), [(LaneFull(lane="single", depth=1, bound=1), 429), (BrokerUnavailable(), 503)]
)
async def test_what_cannot_be_queued_is_refused_as_a_whole(
    client: httpx2.AsyncClient, broker: FakeBroker, fault: Exception, status: int
) -> None:
    broker.fault = fault
    reply = await client.post("/v1/judge", json={"code": "1", "cases": ECHO})

    assert (reply.status_code, broker.submitted, broker.parts) == (status, {}, {})
    assert all(future.cancelled() for future in broker.waiting.values())


async def test_a_lane_that_fills_up_on_the_way_is_waited_for(client: httpx2.AsyncClient, broker: FakeBroker) -> None:
    def answer(job: Job) -> JobResult:
        broker.fault = LaneFull(lane="single", depth=1, bound=1) if broker.fault is None else None
        asyncio.get_running_loop().call_later(0.1, lambda: setattr(broker, "fault", None))
        return echo(job)

    broker.answer = answer

    assert (await judge(client))["verdict"] == "passed"


async def test_a_caller_who_hangs_up_cancels_every_case(served: Served, broker: FakeBroker) -> None:
    full = asyncio.Event()
    broker.answer = lambda _: full.set() if len(broker.submitted) == 16 else None
    body = json.dumps({"code": "while True: pass", "cases": [{}] * 40}).encode()
    async with served() as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        head = "POST /v1/judge HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer s3cret-token\r\n"
        head += "Content-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        await asyncio.wait_for(full.wait(), timeout=20)
        writer.close()
        cancelled = {await asyncio.wait_for(broker.cancelled.get(), timeout=20) for _ in range(16)}

    assert cancelled == set(broker.submitted)
    assert (broker.waiting, broker.parts) == ({}, {})


async def test_events_come_case_by_case(client: httpx2.AsyncClient, broker: FakeBroker) -> None:
    broker.answer = echo
    reply = await client.post("/v1/judge", json={"code": "1", "cases": ECHO}, headers={"accept": "text/event-stream"})
    events = [block.split("\n") for block in reply.text.strip().split("\n\n")]
    data = [json.loads(line.removeprefix("data: ")) for _, line in events]

    assert [name for name, _ in events] == ["event: case", "event: case", "event: result"]
    assert {case["id"]: case["verdict"] for case in data[:2]} == {"0": "passed", "1": "passed"}
    assert (data[2]["passed"], data[2]["cases"]) == (2, [])


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"cases": []}, "cases"),
        ({"cases": [{}] * 1001}, "cases"),
        ({"cases": [{"id": "a"}, {"id": "a"}]}, "cases.1.id"),
        ({"cases": [{"id": "1"}, {}]}, "cases.1.id"),
        ({"cases": [{"id": ""}]}, "cases.0.id"),
        ({"cases": [{"id": "x" * 257}]}, "cases.0.id"),
        ({"cases": [{}, {"files": {"../x": ""}}]}, "cases.1.files.../x"),
        ({"cases": [{"files": {"main.py": ""}}]}, "cases.0.files.main.py"),
        ({"cases": [{"files": {"d/x": ""}}], "files": {"d": ""}}, "cases.0.files.d/x"),
        ({"cases": [{"files": {"d": ""}}], "files": {"d/x": ""}}, "cases.0.files.d"),
        ({"cases": [{"files": {"x": {"base64": "!"}}}]}, "cases.0.files.x"),
        (
            {"cases": [{"files": {f"{n}": "" for n in range(501)}}], "files": {f"x{n}": "" for n in range(500)}},
            "cases.0.files",
        ),
        ({"cases": [{"args": ["\0"]}]}, "cases.0.args.0"),
        ({"cases": [{"args": ["x" * 131_071] * 4}], "env": {f"{n}": "x" * 131_000 for n in range(5)}}, "cases.0.args"),
        ({"cases": [{"stdni": ""}]}, "cases.0.stdni"),
        ({"cases": [{"expected_stdout": 1}]}, "cases.0.expected_stdout"),
        ({"compare": "fuzzy"}, "compare"),
        ({"tolerance": 0.1}, "tolerance"),
        ({"compare": "float", "tolerance": -0.1}, "tolerance"),
        ({"compare": "float", "tolerance": {"absolute": -1}}, "tolerance.absolute"),
        ({"code": ""}, "code"),
        ({"timeout_s": 61}, "timeout_s"),
        ({"files": {"main.py": ""}}, "files.main.py"),
    ],
)
async def test_bad_fields_are_named(
    client: httpx2.AsyncClient, broker: FakeBroker, fields: dict[str, Any], named: str
) -> None:
    reply = await client.post("/v1/judge", json={"code": "1", "cases": ECHO} | fields)

    assert reply.status_code == 422
    assert named in [error["field"] for error in reply.json()["errors"]]
    assert (broker.submitted, broker.parts) == ({}, {})


@pytest.mark.parametrize("number", ["1e999", "Infinity", "NaN"])
async def test_a_tolerance_that_is_no_finite_number_is_refused(client: httpx2.AsyncClient, number: str) -> None:
    """With an infinite one no number passed."""
    body = f'{{"code": "1", "cases": [{{}}], "compare": "float", "tolerance": {number}}}'
    reply = await client.post("/v1/judge", content=body, headers={"content-type": "application/json"})

    assert reply.status_code == 422
    assert reply.json()["errors"][0]["field"].startswith("tolerance")


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"code": "#" * (1 << 20) + "#"}, "code"),
        ({"cases": [{}, {"stdin": "x" * ((8 << 20) + 1)}]}, "cases.1.stdin"),
        ({"cases": [{"expected_stdout": "x" * ((1 << 20) + 1)}]}, "cases.0.expected_stdout"),
        ({"files": {"a": "x" * (9 << 20)}, "cases": [{"files": {"b": "x" * (9 << 20)}}]}, "cases.0.files"),
    ],
)
async def test_too_large_fields_are_named(client: httpx2.AsyncClient, fields: dict[str, Any], named: str) -> None:
    reply = await client.post("/v1/judge", json={"code": "1", "cases": ECHO} | fields)

    assert (reply.status_code, reply.json()["errors"][0]["field"]) == (413, named)


async def test_a_file_that_a_case_replaces_counts_once(client: httpx2.AsyncClient, broker: FakeBroker) -> None:
    broker.answer = echo
    text = "x" * (9 << 20)

    assert (await judge(client, files={"a": text}, cases=[{"files": {"a": text}}]))["passed"] == 1
