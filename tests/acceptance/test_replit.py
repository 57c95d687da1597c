"""The published client `replit-code-exec` 0.0.1, unmodified, against `POST /`. What it returns is what a model reads.

To make its lock again: uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
--no-header --no-annotate - -o replit.lock <<< replit-code-exec==0.0.1
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from evalctl.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from cluster import Cluster

pytestmark = [pytest.mark.jail, pytest.mark.timeout(300)]  # the first run installs the client
LOCK = Path(__file__).parent / "replit.lock"
CALLS = """
import json, sys, replit_code_exec
json.dump([replit_code_exec.code_exec(**call) for call in json.load(sys.stdin)], sys.stdout)
"""
INSTALL = ("install", "--quiet", "--no-cache-dir", "--no-deps", "--only-binary=:all:", "--require-hashes")


@pytest.fixture(scope="session")
def client_python() -> Path:
    """The interpreter of the client's own venv: its packages are older than ours. Made once per lock."""
    digest = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()[:12]
    venv = Settings.from_env().state_dir / "cache" / f"replit-{digest}"
    if not (venv / ".complete").exists():
        shutil.rmtree(venv, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
        python = venv / "bin" / "python"
        subprocess.run([sys.executable, "-m", "pip", "--python", python, *INSTALL, "-r", LOCK], check=True)
        (venv / ".complete").touch()
    return venv / "bin" / "python"


@pytest.fixture
def answers_of(cluster: Cluster, client_python: Path) -> Callable[..., Awaitable[list[str]]]:
    """What the client's `code_exec` returns for each of some arguments, in a process of its own."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    known = {"url": f"http://127.0.0.1:{cluster.api.port}/", "bearer_token": cluster.token}

    def call(*asked: dict[str, Any]) -> list[str]:
        calls = json.dumps([known | one for one in asked])
        command: list[Path | str] = [client_python, "-W", "ignore", "-c", CALLS]
        done = subprocess.run(command, input=calls, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        answers: list[str] = json.loads(done.stdout)
        return answers

    return lambda *asked: asyncio.to_thread(call, *asked)


async def test_the_published_client_works_in_all_its_ways(answers_of: Callable[..., Awaitable[list[str]]]) -> None:
    both = "import sys; print(1, flush=True); print(2, file=sys.stderr, flush=True); print(3)"
    plain, files, interpreter, strace, error = await answers_of(
        {"code": both},
        {"code": "print(open('a.txt').read())", "files": {"a.txt": "hello"}},
        {"code": "x = 20\nx + 1", "interpreter_mode": True},
        {"code": "print('traced')", "strace": True},
        {"code": "1/0"},
    )

    assert (plain, files, interpreter) == ("1\n2\n3\n", "hello\n", "21\n")
    assert "traced\n" in strace
    assert re.search(r"write\(1, .*traced", strace)
    assert error.endswith("ZeroDivisionError: division by zero\n")


async def test_the_published_client_reads_clear_words_when_something_is_wrong(
    cluster: Cluster, answers_of: Callable[..., Awaitable[list[str]]]
) -> None:
    hurried = cluster.start_api(EVAL_DEFAULT_TIMEOUT_S=0.5)
    await cluster.ready()
    token, timeout, file = await answers_of(
        {"code": "print(1)", "bearer_token": "wrong"},
        {"code": "print('begun', flush=True)\nwhile True: pass", "url": f"http://127.0.0.1:{hurried.port}"},
        {"code": "print(1)", "files": {"../a": ""}},
    )
    hurried.stop()

    assert token == "[evalpool: 401 Unauthorized. The bearer token is wrong.]\n"
    assert timeout == "begun\n[evalpool: timed out after 0.5 s]\n"
    assert file == "[evalpool: 422 Invalid request. files.../a: must have no empty, '.' or '..' part]\n"
