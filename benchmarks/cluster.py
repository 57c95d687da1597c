"""A cluster of its own for every bench: Valkeys, workers and apis, in a folder that is thrown away.

The processes and their settings are those of `evalctl up`. Only the environment's packages are shared with
the installation; nothing else of it is touched, and everything dies with the bench.
"""

from __future__ import annotations

import http.client
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.load import Endpoint
from evalctl import bootstrap, coordinator, tether, valkey
from evalctl.settings import Settings, child_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST = "127.0.0.1"
READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0


class ClusterFailed(Exception):  # noqa: N818
    """The cluster did not become ready; the message holds what it last said."""


@dataclass(eq=False, slots=True, kw_only=True)
class Child:
    """One process; `port` is its own HTTP door, 0 if it has none."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    port: int = 0

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    @property
    def ready(self) -> bool:
        """Whether its /readyz says so."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def tell(self, number: signal.Signals) -> None:
        """Send a signal, if it still lives."""
        if self.alive:
            self.process.send_signal(number)

    def said(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-2000:]


@dataclass(eq=False)
class Fleet:
    """The processes of a cluster, each of which may be started and stopped by itself."""

    state: Path
    token: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    variables: dict[str, str] = field(default_factory=dict)
    """`EVAL_...` of every process, beside what follows from the fleet."""
    children: list[Child] = field(default_factory=list)
    redis_urls: list[str] = field(default_factory=list)

    def start_redis(self) -> Child:
        """One more shard; before anything that is to use it."""
        folder = self.state / f"r{len(self.redis_urls)}"
        folder.mkdir()
        server = valkey.private_server(valkey.choose_server(), folder)
        valkey.prepare(server)
        self.redis_urls.append(server.url)
        return self._start("valkey", list(server.argv), 0)

    def start_worker(self, *, port: int = 0, **extra: str) -> Child:
        port = port or free_port()
        return self._start("worker", _module("worker"), port, EVAL_METRICS_PORT=str(port), **extra)

    def start_api(self, **extra: str) -> Child:
        port = free_port()
        return self._start("api", _module("api"), port, EVAL_HOST=HOST, EVAL_PORT=str(port), **extra)

    def start_coordinator(self) -> Child:
        return self._start("coordinator", [sys.executable, *coordinator.COMMAND], 0)

    def alive(self, name: str) -> list[Child]:
        """What runs under this name, the latest last."""
        return [child for child in self.children if child.name == name and child.alive]

    @property
    def endpoints(self) -> list[Endpoint]:
        """Where the apis listen."""
        return [Endpoint(host=HOST, port=api.port, token=self.token) for api in self.alive("api")]

    def wait_until_ready(self) -> None:
        """Wait for every api and worker. Raises ClusterFailed."""
        give_up = time.monotonic() + READY_TIMEOUT_S
        waited = [child for child in self.children if child.port]
        while waited := [child for child in waited if not child.ready]:
            if dead := [child for child in self.children if not child.alive]:
                raise ClusterFailed(f"{dead[0].name} ended ({dead[0].process.returncode}): {dead[0].said()}")
            if time.monotonic() > give_up:
                raise ClusterFailed("not ready:\n" + "\n".join(child.said() for child in waited))
            time.sleep(0.05)

    def stop(self) -> None:
        """End everything: callers first, Redis last; kill what does not listen."""
        for name in ("api", "coordinator", "worker", "valkey"):
            for child in self.alive(name):
                child.tell(signal.SIGTERM)
            for child in self.alive(name):
                try:
                    child.process.wait(STOP_TIMEOUT_S)
                except subprocess.TimeoutExpired:
                    child.process.kill()
                    child.process.wait()

    def _start(self, name: str, command: list[str], port: int, **extra: str) -> Child:
        log = self.state / f"{name}-{len(self.children)}.log"
        ours = {
            "EVAL_REDIS_URL": ",".join(self.redis_urls),
            "EVAL_STATE_DIR": str(self.state),
            "EVAL_TOKEN_AUTH": self.token,
        }
        with log.open("wb") as sink:
            process = subprocess.Popen(
                tether.tethered(command),
                cwd=bootstrap.CHECKOUT,
                env=child_environment(**ours, **self.variables, **extra),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
            )
        self.children.append(child := Child(name=name, process=process, log=log, port=port))
        return child


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A running cluster of one each."""

    endpoint: Endpoint
    redis_url: str
    worker: int
    """Pid; every jail descends from it."""
    api: int
    state: Path


def environment_root() -> Path:
    """The installed default environment."""
    settings = Settings.from_env()
    return settings.environment_root or bootstrap.environment_root(settings.state_dir)


@contextmanager
def fleet(**variables: str) -> Iterator[Fleet]:
    """A fleet without processes; what is started in it ends with it."""
    with tempfile.TemporaryDirectory(prefix="evalpool-bench-") as state:
        opened = Fleet(Path(state), variables=variables)
        try:
            yield opened
        finally:
            opened.stop()


@contextmanager
def cluster(*, coordinators: int = 0, **variables: str) -> Iterator[Cluster]:
    """Start one of each, and coordinators of batches, wait until all are ready, stop them. Raises ClusterFailed."""
    with fleet(**{"EVAL_ENVIRONMENT_ROOT": str(environment_root()), **variables}) as running:
        running.start_redis()
        worker, api = running.start_worker(), running.start_api()
        for _ in range(coordinators):
            running.start_coordinator()
        running.wait_until_ready()
        yield Cluster(
            endpoint=running.endpoints[0],
            redis_url=running.redis_urls[0],
            worker=worker.process.pid,
            api=api.process.pid,
            state=running.state,
        )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _module(name: str) -> list[str]:
    return [sys.executable, "-m", name]
