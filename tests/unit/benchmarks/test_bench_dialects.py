"""Other services are asked as their documentation says, and their answers mean what it says.

The answers are those of real runs of the services at the commits in docs/rivals.md.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from benchmarks import complaints, rivals
from benchmarks.dialects import DIALECTS, Rival, Told, rival
from benchmarks.load import Program, closed_loop

PRINT = Program(code="print(1+1)", stdout="2\n")


def run(**fields):
    return {"status": "Finished", "execution_time": 0.1, "return_code": 0, "stdout": "2\n", "stderr": "", **fields}


def fusion(status, result, message=""):
    return {"status": status, "message": message, "compile_result": None, "run_result": result, "files": {}}


def judged(**fields):
    return {"sub_id": "s", "success": True, "run_success": True, "cost": 0.1, "stdout": "2\n", "stderr": "",
            "reason": "", **fields}  # fmt: skip


def piston(**fields):
    stage = {"stdout": "2\n", "stderr": "", "output": "2\n", "code": 0, "signal": None, "message": None, "status": None}
    return {"language": "python", "version": "3.12.0", "run": stage | fields}


def dify(**fields):
    data = {"stdout": "2\n", "stderr": "", "error": "", "exit_code": 0}
    return {"code": 0, "message": "success", "data": data | fields}


def eval_of(**fields):
    return {"status": "ok", "exit_code": 0, "stdout": "2\n", "stderr": "", **fields}


ANSWERS = [
    ("evalpool", eval_of(), Told("ok", True, "2\n")),
    ("evalpool", eval_of(status="error", exit_code=255), Told("error 255", False, "2\n")),
    ("evalpool", eval_of(status="timeout", exit_code=None, stdout=""), Told("timeout", False)),
    ("snekbox", {"stdout": "2\n", "returncode": 0, "files": []}, Told("returncode 0", True, "2\n")),
    ("snekbox", {"stdout": "", "returncode": 137, "files": []}, Told("returncode 137", False)),
    ("sandboxfusion", fusion("Success", run()), Told("Success Finished 0", True, "2\n")),
    (
        "sandboxfusion",
        fusion("Failed", run(status="TimeLimitExceeded", return_code=None, stdout=None, stderr=None)),
        Told("Failed TimeLimitExceeded None", False),
    ),
    ("sandboxfusion", fusion("SandboxError", None, "no cgroup"), Told("SandboxError", False, stderr="no cgroup")),
    ("codejudge", judged(), Told("run_success True", True, "2\n")),
    ("codejudge", judged(run_success=False, stdout=None, stderr=None), Told("run_success False", False)),
    ("codejudge", judged(run_success=False, reason="worker_timeout"), Told("worker_timeout", False, "2\n")),
    ("libre", {"session_id": "s", "files": [], "stdout": "2\n", "stderr": ""}, Told("nothing", True, "2\n")),
    ("piston", piston(), Told("0", True, "2\n")),
    ("piston", piston(code=None, signal="SIGKILL", status="TO"), Told("TO SIGKILL", False, "2\n")),
    ("dify", dify(), Told("exit_code 0", True, "2\n")),
    ("dify", dify(exit_code=-1, stdout="", error="error: timeout"), Told("exit_code -1", False, "", "error: timeout")),
    ("dify", {"code": -500, "message": "no pipe", "data": None}, Told("code -500", False, stderr="no pipe")),
    ("piston", piston(code=1, status="RE", stdout="", stderr="x"), Told("RE 1", False, "", "x")),
]


@pytest.mark.parametrize(("name", "answer", "meant"), ANSWERS)
def test_an_answer_means_what_its_service_documents(name, answer, meant):
    assert rival(f"{name}=http://h:1").told(200, json.dumps(answer).encode()) == meant


ASKED = {
    "evalpool": ("/v1/eval", {"code": "c", "timeout_s": 10}),
    "snekbox": ("/eval", {"input": "c"}),
    "sandboxfusion": ("/run_code", {"code": "c", "language": "python", "run_timeout": 10}),
    "codejudge": ("/run", {"type": "python", "solution": "c"}),
    "libre": ("/exec", {"code": "c", "lang": "py", "timeout": 10_000}),
    "piston": (
        "/api/v2/execute",
        {"language": "python", "version": "*", "files": [{"content": "c"}], "run_timeout": 10_000,
         "run_cpu_time": 10_000},
    ),
    "dify": ("/v1/sandbox/run", {"language": "python3", "code": "c", "enable_network": True}),
}  # fmt: skip


@pytest.mark.parametrize("name", DIALECTS)
def test_a_service_is_asked_as_it_documents(name):
    head, _, body = rival(f"{name}=http://h:80").encode(Program(code="c", stdout=None)).partition(b"\r\n\r\n")

    assert (head.split()[1].decode(), json.loads(body)) == ASKED[name]
    assert b"Content-Length: %d" % len(body) in head
    assert b"uthorization" not in head
    assert b"x-api-key" not in head


def test_a_token_goes_where_each_service_looks_for_it():
    asked = [rival(f"{name}=http://secret@h:80").encode(PRINT) for name in ("evalpool", "libre")]

    assert b"\r\nAuthorization: Bearer secret\r\n" in asked[0]
    assert b"\r\nx-api-key: secret\r\n" in asked[1]


def test_a_rival_is_named_by_what_stands_before_the_slash():
    told = rival("snekbox/4=http://127.0.0.1:8060/")

    assert (told.label, told.host, told.port, told.dialect) == ("snekbox/4", "127.0.0.1", 8060, DIALECTS["snekbox"])


@pytest.mark.parametrize("bad", ["snekbox", "nobody=http://h:1", "snekbox=http://h", "snekbox=https://h:1"])
def test_what_is_no_rival_is_refused(bad):
    with pytest.raises(ValueError, match="NAME=http://HOST:PORT"):
        rival(bad)


@pytest.mark.parametrize(
    ("code", "body", "said"),
    [
        (503, b'{"detail": "Pool exhausted"}', "HTTP 503 Pool exhausted"),
        (429, b'{"title": "queue full", "status": 429}', "HTTP 429 queue full"),
        (200, b"not json", "HTTP 200, 8 bytes that are no answer"),
        (200, b'{"stdout": "2\\n"}', "HTTP 200, 17 bytes that are no answer"),
        (502, b"", "HTTP 502, 0 bytes that are no answer"),
    ],
)
def test_what_is_no_answer_is_told_and_never_right(code, body, said):
    assert rival("snekbox=http://h:1").told(code, body) == Told(said, ok=False)


@asynccontextmanager
async def serving(name, respond, *, chunked=False):
    """A service that closes its connection after each answer, as gunicorn's workers do; `respond(code)` answers."""

    async def serve(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        asked = json.loads(await reader.readexactly(int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])))
        if (answer := respond(asked)) is not None:
            body = json.dumps(answer).encode()
            length = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(body)
            sent = b" \r\n1\r\n \r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n%s\r\n\r\n" % length)
            writer.write(b"1\r\n" + sent if chunked else body)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        yield Rival(host=host, port=port, token="", label=name, dialect=DIALECTS[name])


async def test_a_loop_over_a_rival_counts_right_answers_only():
    answers = iter([{"stdout": "2\n", "returncode": 0}, {"stdout": "3\n", "returncode": 0},
                    {"stdout": "", "returncode": 137}, None])  # fmt: skip

    async with serving("snekbox", lambda _: next(answers)) as service:
        loop = await closed_loop(service, PRINT, concurrency=1, requests=4)

    assert [s.verdict for s in loop.samples] == ["ok", "wrong_output", "returncode 137", "ConnectionResetError"]


async def test_an_answer_in_chunks_with_spaces_before_it_is_read():
    """LibreCodeInterpreter keeps its callers awake with spaces."""
    answer = {"session_id": "s", "stdout": "2\n", "stderr": ""}
    async with serving("libre", lambda _: answer, chunked=True) as service:
        assert await complaints.post(service, "c") == Told("nothing", True, "2\n")


def snekbox_of(returncode=0, stdout=""):
    return {"stdout": stdout, "returncode": returncode}


FINDINGS = [
    (complaints.output_whole, lambda _: snekbox_of(stdout=complaints.OUTPUT), True, "whole"),
    (complaints.output_whole, lambda _: snekbox_of(143, complaints.OUTPUT[:10]), False, "10 of 1,048,576"),
    (complaints.both_streams_whole, lambda _: snekbox_of(stdout="oe" * complaints.BOTH), True, "whole"),
    (complaints.both_streams_whole, lambda _: snekbox_of(stdout="oe"), False, "1 and 1"),
    (complaints.child_ended, lambda _: snekbox_of(stdout="left\n"), True, "the child is gone"),
    (complaints.child_ended, lambda _: snekbox_of(137), False, "returncode 137 after"),
    (complaints.loop_told_apart, lambda asked: snekbox_of(137 if "while" in asked["input"] else 1), True, "137"),
    (complaints.loop_told_apart, lambda _: snekbox_of(137), False, "137"),
    (complaints.hog_told_apart, lambda asked: snekbox_of(9 if "kept" in asked["input"] else 1), True, "returncode 9"),
    (complaints.hog_told_apart, lambda _: snekbox_of(137), False, "as error and SIGKILL and loop"),
    (complaints.hog_told_apart, lambda _: snekbox_of(stdout="kept\n"), False, "no limit met in 5 GiB"),
    (complaints.own_failure_told_apart, lambda _: snekbox_of(255), False, "its own failure: returncode 255"),
    (complaints.own_failure_told_apart, lambda _: snekbox_of(1), True, "exit 255: returncode 1"),
    (complaints.many_at_once, lambda asked: snekbox_of(stdout=f"{eval(asked['input'][6:-1])}\n"), True, "64 right"),
    (complaints.many_at_once, lambda _: snekbox_of(stdout="0\n"), False, "1 right"),
    (complaints.numpy_works, lambda _: snekbox_of(stdout="2.4.6\n"), True, "2.4.6"),
    (complaints.numpy_works, lambda _: snekbox_of(1, "ModuleNotFoundError"), False, "ModuleNotFoundError"),
]


@pytest.mark.parametrize(("tried", "respond", "good", "words"), FINDINGS)
async def test_a_complaint_is_found_by_what_the_answer_says(tried, respond, good, words):
    async with serving("snekbox", respond) as service:
        finding = await tried(service)

    assert (finding.good, words in finding.words) == (good, True), finding.words


async def test_a_child_that_lives_on_is_found(monkeypatch):
    monkeypatch.setattr(complaints, "runs", lambda mark: mark.startswith("left-"))
    async with serving("snekbox", lambda _: snekbox_of(stdout="left\n")) as service:
        finding = await complaints.child_ended(service)

    assert (finding.good, "lives on" in finding.words) == (False, True)


async def test_a_service_that_never_answers_is_left_after_the_bound(monkeypatch):
    monkeypatch.setattr(complaints, "BOUND_S", 0.1)
    over = asyncio.Event()

    async def silent(_, writer):
        await over.wait()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        service = Rival(host=host, port=port, token="", label="x", dialect=DIALECTS["snekbox"])

        assert await complaints.post(service, "c") == Told("no answer in 0.1 s", ok=False)
        over.set()
        await asyncio.sleep(0.05)  # the connection is closed with the server's loop still there


def test_what_is_stored_of_a_complaint_is_what_was_done_in_words():
    found = {"snekbox": {"endless loop": complaints.Finding(good=False, words="w")}}

    assert complaints.details_of(found) == {"snekbox": {"endless loop": {"good": False, "words": "w"}}}


async def test_figures_stand_beside_ours_and_failures_are_counted():
    loops = {"a": [{"stdout": "2\n", "returncode": 0}, {"stdout": "", "returncode": 1}]}
    found = rivals.Found(["evalpool", "snekbox"])
    for label, dialect in (("evalpool", "evalpool"), ("snekbox", "snekbox")):
        answers = iter([eval_of(), eval_of()] if label == "evalpool" else loops["a"])
        async with serving(dialect, lambda _, answers=answers: next(answers)) as service:
            loop = await closed_loop(service, PRINT, concurrency=1, requests=2)
        for name in ("1", "16", "numpy"):
            found.series[f"{label} {name}"].append(loop)

    figures = {figure.name: figure for figure in rivals.figures_of(found)}

    assert figures["evalpool: failures"].value == 0
    assert figures["snekbox: failures"].value == 3
    assert figures["snekbox: 1 at a time, p50"].baseline == figures["evalpool: 1 at a time, p50"].value
