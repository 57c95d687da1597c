"""The real command against a small server that says what it is told to."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from evalctl.client import server_sent
from evalctl.run import RunUsageError, exit_code, size

if TYPE_CHECKING:
    from collections.abc import Iterator


class FakeServer(ThreadingHTTPServer):
    """Answers every POST alike and remembers what was asked."""

    code, content_type, body = 200, "application/json", b"{}"
    asked: list[tuple[str, dict[str, str], dict[str, Any]]]

    def says(self, **result: Any) -> None:
        self.body = json.dumps({"status": "ok", "stdout": "", "stderr": "", "exit_code": 0, **result}).encode()


class Handler(BaseHTTPRequestHandler):
    server: FakeServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, dict(self.headers), body))
        self.send_response(self.server.code)
        self.send_header("Content-Type", self.server.content_type)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer(("127.0.0.1", 0), Handler) as server:
        server.asked = []
        thread = Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def events(pieces: list[tuple[str, Any]]) -> bytes:
    return "".join(f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in pieces).encode()


def evalctl_run(server: FakeServer, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    variables = {
        "EVAL_URL": f"http://127.0.0.1:{server.server_port}/",
        "EVAL_TOKEN_AUTH": "secret, another",
        "HTTP_PROXY": "http://127.0.0.1:9",
    }
    command = [sys.executable, "-m", "evalctl", "run", *words]
    return subprocess.run(
        command, env=os.environ | variables, input=stdin, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"status": "ok", "exit_code": 0}, 0),
        ({"status": "error", "exit_code": 1}, 1),
        ({"status": "error", "exit_code": 255}, 255),
        ({"status": "killed", "signal": 11}, 139),
        ({"status": "timeout", "signal": 9}, 124),
        ({"status": "output", "signal": 9}, 123),
        ({"status": "memory", "signal": 9}, 137),
        ({"status": "cancelled"}, 125),
        ({"status": "internal"}, 125),
        ({"status": "error", "exit_code": None}, 125),
        ({"status": "of a later version"}, 125),
    ],
)
def test_every_status_has_its_exit_code(result: dict[str, Any], expected: int) -> None:
    assert exit_code(result) == expected


def test_output_and_exit_code_are_those_of_the_program(server: FakeServer) -> None:
    server.says(status="error", exit_code=7, stdout="out ü\n", stderr="err\n")
    done = evalctl_run(server, "-c", "import sys; sys.exit(7)", "one", "two")

    assert (done.returncode, done.stdout, done.stderr) == (7, "out ü\n", "err\n")
    [(path, headers, body)] = server.asked
    assert (path, headers["Authorization"]) == ("/v1/eval", "Bearer secret")
    assert body == {"code": "import sys; sys.exit(7)", "args": ["one", "two"]}


def test_a_streamed_answer_is_passed_on_piece_by_piece_and_not_repeated(server: FakeServer) -> None:
    server.content_type = "text/event-stream; charset=utf-8"
    result = {"status": "ok", "stdout": "ab\n", "stderr": "x\r\n", "exit_code": 0}
    pieces = [("stdout", "a"), ("stderr", "x\r\n"), ("stdout", "b\n"), ("result", result)]
    server.body = events(pieces)
    done = evalctl_run(server, "-c", "...")

    assert (done.returncode, done.stdout, done.stderr) == (0, "ab\n", "x\n")
    assert "text/event-stream" in server.asked[0][1]["Accept"]


def test_a_restart_is_noted_and_what_follows_counts(server: FakeServer) -> None:
    server.content_type = "text/event-stream"
    result = {"status": "ok", "stdout": "b", "stderr": "", "exit_code": 0}
    pieces = [("stdout", "a"), ("restart", {"attempt": 2}), ("stdout", "b"), ("result", result)]
    server.body = b": keep-alive\n\n" + events(pieces)
    done = evalctl_run(server, "-c", "...")

    assert (done.returncode, done.stdout) == (0, "ab")
    assert done.stderr == "evalctl: the program was started again; what it wrote so far does not count\n"


def test_an_error_in_the_stream_is_said_in_one_sentence(server: FakeServer) -> None:
    server.content_type = "text/event-stream"
    server.body = events([("stdout", "a"), ("error", {"title": "No result in time", "detail": "No worker."})])
    done = evalctl_run(server, "-c", "...")

    assert (done.returncode, done.stdout, done.stderr) == (125, "a", "evalctl: No worker.\n")


def test_a_stream_that_breaks_off_is_no_success(server: FakeServer) -> None:
    server.content_type, server.body = "text/event-stream", b'event: stdout\ndata: "a"\n\n'
    done = evalctl_run(server, "-c", "...")

    assert (done.returncode, done.stdout) == (125, "a")
    assert done.stderr == "evalctl: the server closed the stream before the result\n"


def test_file_stdin_and_options_become_the_request(server: FakeServer) -> None:
    server.says()
    Path("prog.py").write_text("print(1)")
    Path("data").mkdir()
    Path("data/a.txt").write_text("hi")
    Path("blob").write_bytes(b"\xff\x00")
    done = evalctl_run(
        server,
        *("--timeout", "2.5", "--memory", "64M", "--file", "data/a.txt", "--file", "b.bin=blob", "--stdin", "-"),
        *("--output", "*.png", "--output", "*.csv", "--strace", "--environment", "slim"),
        *("prog.py", "--timeout", "x"),
        stdin="input",
    )

    assert done.returncode == 0
    assert server.asked[0][2] == {
        "code": "print(1)",
        "args": ["--timeout", "x"],
        "timeout_s": 2.5,
        "memory_bytes": 64 << 20,
        "files": {"data/a.txt": "hi", "b.bin": {"base64": "/wA="}},
        "stdin": "input",
        "outputs": ["*.png", "*.csv"],
        "environment": "slim",
        "strace": True,
    }


def test_a_dash_reads_the_program_from_stdin(server: FakeServer) -> None:
    server.says()
    evalctl_run(server, "-", "arg", stdin="print(2)")

    assert server.asked[0][2] == {"code": "print(2)", "args": ["arg"]}


def test_files_come_back_but_never_outside_the_folder(server: FakeServer, tmp_path: Path) -> None:
    content = {"base64": base64.b64encode(b"\x00data").decode()}
    server.says(files={"sub/ok.bin": content, "../evil": content, "/tmp/evil-evalctl": content, ".": content})
    done = evalctl_run(server, "--output-dir", "out", "-c", "...")

    assert (tmp_path / "out/sub/ok.bin").read_bytes() == b"\x00data"
    assert done.stderr.count("not written") == 3
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["ok.bin"]
    assert not Path("/tmp/evil-evalctl").exists()


def test_json_prints_the_whole_result_and_keeps_the_exit_code(server: FakeServer) -> None:
    server.says(status="killed", exit_code=None, signal=9, stdout="x")
    done = evalctl_run(server, "--json", "-c", "...")

    assert (done.returncode, json.loads(done.stdout)["signal"], done.stderr) == (137, 9, "")


def test_a_cut_output_and_an_end_by_us_are_said_on_stderr(server: FakeServer) -> None:
    server.says(status="output", exit_code=None, signal=9, stdout="x", stdout_truncated=True)
    done = evalctl_run(server, "-c", "...")

    assert (done.returncode, done.stdout) == (123, "x")
    assert done.stderr == "evalctl: stdout was cut\nevalctl: output\n"


def test_a_refusal_is_one_sentence_with_the_servers_reason(server: FakeServer) -> None:
    server.code, server.content_type = 429, "application/problem+json"
    server.body = b'{"title": "At capacity", "detail": "the lane is full, try again in 1 s", "status": 429}'
    done = evalctl_run(server, "-c", "...")

    assert (done.returncode, done.stderr) == (
        125,
        "evalctl: refused with HTTP 429: the lane is full, try again in 1 s\n",
    )


def test_an_answer_of_some_other_server_is_one_sentence(server: FakeServer) -> None:
    server.content_type, server.body = "text/html", b"<html>hello</html>"
    done = evalctl_run(server, "-c", "...")

    assert (done.returncode, done.stderr.count("\n")) == (125, 1)


def test_no_server_is_one_sentence(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "server_port", 1)
    done = evalctl_run(server, "-c", "...")

    assert (done.returncode, done.stderr.count("\n")) == (125, 1)
    assert done.stderr.startswith("evalctl: no answer from http://127.0.0.1:1: ")


@pytest.mark.parametrize(
    "words",
    [[], ["missing.py"], ["--memory", "lots", "-c", "1"], ["--file", "missing", "-c", "1"], ["--tiemout", "1", "x.py"]],
)
def test_a_wrong_command_line_exits_2_and_asks_nothing(server: FakeServer, words: list[str]) -> None:
    done = evalctl_run(server, *words)

    assert (done.returncode, server.asked) == (2, [])
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("value", ["nan", "inf", "0", "-1"])
def test_a_time_limit_that_is_none_is_refused_not_dropped(server: FakeServer, value: str) -> None:
    """NaN was a traceback, and 0 ran under the server's default."""
    done = evalctl_run(server, "--timeout", value, "-c", "1")

    assert (done.returncode, done.stdout, server.asked) == (2, "", [])
    assert done.stderr == f"evalctl: --timeout takes a number of seconds above zero, not {value}\n"


@pytest.mark.parametrize("value", ["0", "0M", ""])
def test_a_memory_limit_of_nothing_is_refused_not_dropped(server: FakeServer, value: str) -> None:
    done = evalctl_run(server, "--memory", value, "-c", "1")

    assert (done.returncode, server.asked) == (2, [])
    assert done.stderr == f"evalctl: --memory takes a size such as 256M, not {value!r}\n"


def test_a_reader_that_leaves_early_causes_no_traceback(server: FakeServer) -> None:
    server.says(stdout="line\n" * 100_000)
    command = f"{sys.executable} -m evalctl run -c ... | head -1"
    variables = {"EVAL_URL": f"http://127.0.0.1:{server.server_port}"}
    done = subprocess.run(
        command, shell=True, env=os.environ | variables, capture_output=True, text=True, check=False, timeout=60
    )

    assert (done.stdout, done.stderr) == ("line\n", "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1048576", 1 << 20), ("64k", 64 << 10), ("64M", 64 << 20), ("2GiB", 2 << 30), ("10 mb", 10 << 20), ("7b", 7)],
)
def test_sizes_read_as_people_write_them(text: str, expected: int) -> None:
    assert size(text) == expected


@pytest.mark.parametrize("text", ["", "M", "-1", "1.5G", "1T", "1 2"])
def test_a_size_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(RunUsageError, match="--memory"):
        size(text)


def test_server_sent_events_follow_the_standard() -> None:
    lines = [": keepalive", "", "event:a", "data: 1", "data:  2", "id: 9", "", "data: plain", "", "data: unfinished"]

    assert list(server_sent(lines)) == [("a", "1\n 2"), ("message", "plain")]


def test_figures_are_asked_for_and_written_as_files(server: FakeServer, tmp_path: Path) -> None:
    images = [{"format": "png", "base64": base64.b64encode(data).decode()} for data in (b"one", b"two")]
    server.says(figures=images)
    evalctl_run(server, "-c", "x", "--figures")

    assert server.asked[0][2]["figures"] is True
    assert [(tmp_path / f"figure-{number}.png").read_bytes() for number in (1, 2)] == [b"one", b"two"]


def test_what_a_compiler_says_is_shown_apart_from_the_output(server: FakeServer) -> None:
    server.says(status="error", exit_code=1, compile={"stdout": "", "stderr": "main.c:1: error\n", "exit_code": 1})
    done = evalctl_run(server, "-c", "x", "--environment", "c")

    assert (done.returncode, done.stdout, done.stderr) == (1, "", "main.c:1: error\n")
