"""`evalctl batch` as a user types it: files in, files out, Ctrl-C, and again."""

from __future__ import annotations

import gzip
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from cluster import Cluster

pytestmark = [pytest.mark.jail, pytest.mark.timeout(180)]
KINDS = {"ok": "print(1)", "error": "1 / 0", "killed": "import os; os.kill(os.getpid(), 11)"}


def items(path: Path, *codes: str) -> Path:
    path.write_text("".join(json.dumps({"custom_id": str(n), "code": code}) + "\n" for n, code in enumerate(codes)))
    return path


def command(cluster: Cluster, *words: str | Path) -> tuple[list[str], dict[str, str]]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("EVAL_")}
    env |= {"EVAL_URL": f"http://127.0.0.1:{cluster.api.port}", "EVAL_TOKEN_AUTH": cluster.token}
    return [sys.executable, "-m", "evalctl", "batch", *map(str, words)], env


def evalctl(cluster: Cluster, *words: str | Path) -> subprocess.CompletedProcess[str]:
    argv, env = command(cluster, *words)
    return subprocess.run(argv, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)


def results(path: Path) -> dict[str, dict[str, Any]]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    found = {line["custom_id"]: line for line in lines}
    assert len(found) == len(lines)
    return found


def test_a_file_of_programs_becomes_a_file_of_results(served: Cluster, tmp_path: Path) -> None:
    codes = list(KINDS.values()) * 20
    path = items(tmp_path / "programs.jsonl", *codes)
    done = evalctl(served, "submit", path, "--wait")

    assert done.returncode == 0, done.stderr
    assert "done: 20 ok, 20 error, 20 killed; results in" in done.stdout
    statuses = {
        name: line["result"]["status"] for name, line in results(tmp_path / "programs.jsonl.results.jsonl").items()
    }
    assert statuses == {str(n): kind for n, kind in enumerate(list(KINDS) * 20)}


def test_gzip_json_list_show_and_results(served: Cluster, tmp_path: Path) -> None:
    path = tmp_path / "programs.jsonl.gz"
    path.write_bytes(gzip.compress(items(tmp_path / "plain", "print(1)", "print(2)").read_bytes()))
    first = json.loads(evalctl(served, "submit", path, "--json").stdout)
    again = json.loads(evalctl(served, "submit", path, "--json").stdout)
    new = json.loads(evalctl(served, "submit", path, "--json", "--again").stdout)

    assert (first["replayed"], again["replayed"], again["id"] == first["id"], new["id"] == first["id"]) == (
        False,
        True,
        True,
        False,
    )
    printed = [json.loads(line) for line in evalctl(served, "results", first["id"]).stdout.splitlines()]
    assert {line["custom_id"]: line["result"]["stdout"] for line in printed} == {"0": "1\n", "1": "2\n"}
    ordered = evalctl(served, "results", first["id"], "--in-order", "--after", "1").stdout.splitlines()
    assert [json.loads(line)["index"] for line in ordered] == [1]
    assert json.loads(evalctl(served, "show", first["id"], "--json").stdout)["counts"] == {"ok": 2}
    assert "completed: 2 of 2 (2 ok)" in evalctl(served, "show", first["id"]).stdout
    assert {first["id"], new["id"]} <= {batch["id"] for batch in json.loads(evalctl(served, "list", "--json").stdout)}
    assert first["id"] in evalctl(served, "list").stdout


def test_ctrl_c_leaves_it_running_and_the_same_line_goes_on(served: Cluster, tmp_path: Path) -> None:
    path = items(tmp_path / "slow.jsonl", *["import time; time.sleep(0.1); print(1)"] * 80)
    argv, env = command(served, "submit", path, "--wait")
    with subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as waiting:
        part = grown(tmp_path, lines=5)
        waiting.send_signal(signal.SIGINT)
        said = waiting.communicate(timeout=15)[1]

    assert (waiting.returncode, "left running" in said) == (130, True)
    had = part.read_bytes()
    done = evalctl(served, "submit", path, "--wait")
    assert (done.returncode, "sent before" in done.stderr) == (0, True)
    whole = tmp_path / "slow.jsonl.results.jsonl"
    assert whole.read_bytes().startswith(had)
    assert len(results(whole)) == 80


@pytest.mark.parametrize(("key", "code", "state"), [("c", 4, "cancelled"), ("l", 130, "running")])
def test_ctrl_c_in_a_terminal_asks(served: Cluster, tmp_path: Path, key: str, code: int, state: str) -> None:
    path = items(tmp_path / "endless.jsonl", *["while True: pass"] * 4, "print(1)")
    ours, theirs = pty.openpty()
    argv, env = command(served, "submit", path, "--wait", "--again")
    try:
        with subprocess.Popen(argv, env=env | {"TERM": "dumb"}, stdin=theirs, stdout=theirs, stderr=theirs) as waiting:
            os.close(theirs)
            grown(tmp_path, lines=0)
            waiting.send_signal(signal.SIGINT)
            read_until(ours, "ait on?")
            os.write(ours, f"{key}\n".encode())
            read_until(ours, "were done" if key == "c" else "left running")
            assert waiting.wait(15) == code
    finally:
        os.close(ours)  # a hang-up: what waits for a key ends
    [batch] = json.loads(evalctl(served, "list", "--json", "--limit", "1").stdout)
    assert batch["state"] == state
    evalctl(served, "cancel", batch["id"])


def grown(folder: Path, *, lines: int) -> Path:
    """The part file in a folder, once it has so many lines."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        for part in folder.glob("*.part"):
            if part.read_bytes().count(b"\n") >= lines:
                return part
        time.sleep(0.02)
    raise TimeoutError(folder)


def read_until(terminal: int, words: str) -> None:
    """Read what is shown, until these words are."""
    said, deadline = b"", time.monotonic() + 15
    while words.encode() not in said:
        readable, _, _ = select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))
        assert readable, said
        said += os.read(terminal, 4096)


def test_cancel_and_what_is_left_of_it(served: Cluster, tmp_path: Path) -> None:
    path = items(tmp_path / "endless.jsonl", "print(1)", *["while True: pass"] * 3)
    batch_id = json.loads(evalctl(served, "submit", path, "--json", "--again").stdout)["id"]
    cancelled = evalctl(served, "cancel", batch_id)

    assert f"{batch_id} is cancelled" in cancelled.stdout
    fetched = evalctl(served, "results", batch_id, "--output", tmp_path / "out")
    assert (fetched.returncode, "cancelled" in fetched.stdout) == (4, True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"custom_id": "1"}\n', "line 1, code: must not be empty"),
        ("not json\n", "is not valid JSON"),
        ("", "at least one"),
    ],
)
def test_a_bad_file_is_refused_in_one_sentence(served: Cluster, tmp_path: Path, text: str, words: str) -> None:
    (path := tmp_path / "bad.jsonl").write_text(text)
    refused = evalctl(served, "submit", path, "--wait")

    assert (refused.returncode, words in refused.stderr, refused.stderr.count("\n")) == (1, True, 1), refused.stderr


def test_what_cannot_be_done_has_its_exit_code(served: Cluster, tmp_path: Path) -> None:
    argv, env = command(served, "list")
    away = subprocess.run(
        argv, env=env | {"EVAL_URL": "http://127.0.0.1:9"}, capture_output=True, text=True, check=False
    )

    assert (away.returncode, "no answer" in away.stderr) == (1, True)
    assert evalctl(served, "submit", tmp_path / "none").returncode == 2
    assert evalctl(served, "show", "0" * 32).returncode == 1


def test_items_with_cases_are_judged(served: Cluster, tmp_path: Path) -> None:
    square = {"code": "print(int(input()) ** 2)"}
    cases = {
        "right": [{"stdin": str(n), "expected_stdout": str(n * n)} for n in range(5)],
        "wrong": [{"stdin": "3", "expected_stdout": "9"}, {"id": "bad", "stdin": "3", "expected_stdout": "10"}],
        "crashes": [{"stdin": "x", "expected_stdout": ""}],
    }
    lines = [{"custom_id": name, "cases": of} | square for name, of in cases.items()]
    path = tmp_path / "judged.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = evalctl(served, "submit", path, "--wait")

    assert (done.returncode, "1 passed, 2 failed" in done.stdout) == (0, True), done.stdout + done.stderr
    told = results(tmp_path / "judged.jsonl.results.jsonl")
    judged = {name: line["judge"] for name, line in told.items()}
    assert {name: one["verdict"] for name, one in judged.items()} == {
        "right": "passed",
        "wrong": "failed",
        "crashes": "failed",
    }
    assert [(case["id"], case["verdict"]) for case in judged["wrong"]["cases"]] == [("0", "passed"), ("bad", "failed")]
    assert judged["crashes"]["cases"][0]["status"] == "error"
    bad = tmp_path / "bad.jsonl"
    bad.write_text(json.dumps({"custom_id": "x", "code": "1", "cases": [{"id": "a"}, {"id": "a"}]}) + "\n")
    refused = evalctl(served, "submit", bad)
    assert "line 1, cases.1.id: is another case's id" in refused.stderr
