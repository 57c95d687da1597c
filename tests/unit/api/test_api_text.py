"""`POST /`: whatever happens reads well as text that a model can act on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from jobs.errors import LaneFull
from jobs.model import JobResult, Reason, Status

if TYPE_CHECKING:
    import httpx2
    from api_fakes import FakeBroker


async def test_the_clients_fields_reach_a_job_with_merged_streams(
    client: httpx2.AsyncClient, broker: FakeBroker
) -> None:
    body = {"code": "1+1", "files": {"a.txt": "hi"}, "strace": True, "interpreter_mode": True}
    reply = await client.post("/", json=body)
    job = broker.last

    assert (
        reply.status_code,
        reply.text,
        reply.headers["content-type"],
    ) == (200, "hi\n", "text/plain; charset=utf-8")
    assert (True, True, True, {"a.txt": b"hi"}, broker.id) == (
        job.merge_streams,
        job.strace,
        job.interpreter_mode,
        job.files,
        job.reply_to,
    )


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({"status": Status.OK, "stdout": "2\n"}, "2\n"),
        ({"status": Status.OK, "stdout": ""}, ""),
        ({"status": Status.ERROR, "stdout": "Traceback ...\n", "exit_code": 1}, "Traceback ...\n"),
        ({"status": Status.ERROR, "exit_code": 3}, "[evalpool: no output, exit code 3]\n"),
        ({"status": Status.TIMEOUT, "stdout": "so far"}, "so far\n[evalpool: timed out after 10 s]\n"),
        (
            {"status": Status.MEMORY, "stdout": "x\n"},
            "x\n[evalpool: killed: it used more than its 256 MiB of memory]\n",
        ),
        ({"status": Status.OUTPUT, "stdout": "yy"}, "yy\n[evalpool: killed: it printed more than 1 MiB]\n"),
        ({"status": Status.KILLED, "signal": 11}, "[evalpool: killed by signal 11 (SIGSEGV)]\n"),
        ({"status": Status.KILLED, "signal": 99}, "[evalpool: killed by signal 99]\n"),
        ({"status": Status.CANCELLED}, "[evalpool: cancelled]\n"),
    ],
)
async def test_the_output_comes_first_then_one_line_that_says_what_cut_it_short(
    client: httpx2.AsyncClient, broker: FakeBroker, facts: dict[str, Any], text: str
) -> None:
    broker.answer = lambda job: JobResult(job_id=job.id, **facts)
    reply = await client.post("/", json={"code": "1"})

    assert (200, text) == (reply.status_code, reply.text)


async def test_an_error_is_one_line_of_text(client: httpx2.AsyncClient, broker: FakeBroker) -> None:
    unknown = await client.post("/", json={"code": "1", "timeout_s": 1})
    wrong = await client.post("/", json={"code": "1"}, headers={"authorization": "Bearer no"})
    wrong_method = await client.get("/")
    broker.answer = lambda job: JobResult(job_id=job.id, status=Status.INTERNAL, reason=Reason.SANDBOX)
    broken = await client.post("/", json={"code": "1"})
    broker.fault = LaneFull(lane="single", depth=9, bound=9)
    full = await client.post("/", json={"code": "1"})
    again = "It is safe to send the request again."

    assert [(reply.status_code, reply.text) for reply in (unknown, wrong, wrong_method, broken, full)] == [
        (422, "[evalpool: 422 Invalid request. timeout_s: is not a field of this request]\n"),
        (401, "[evalpool: 401 Unauthorized. The bearer token is wrong.]\n"),
        (405, "[evalpool: 405 Wrong method. This path answers other methods; see the Allow header.]\n"),
        (500, f"[evalpool: 500 The sandbox failed. The sandbox failed, not the program. {again}]\n"),
        (429, f"[evalpool: 429 Too many jobs are waiting. The single lane holds 9 of 9 jobs. {again}]\n"),
    ]
