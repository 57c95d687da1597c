"""A cluster of its own for every bench: Valkey, one worker and one api, in a folder that is thrown away.

The processes and their settings are those of `evalctl up`. Only the environment's packages are shared with
the installation; nothing else of it is touched, and everything dies with the bench.
"""

from __future__ import annotations

import http.client
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.load import Endpoint
from evalctl import bootstrap, coordinator, tether, valkey
from evalctl.settings import Settings, child_environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HOST = "127.0.0.1"
READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0


class ClusterFailed(Exception):  # noqa: N818
    """The cluster did not become ready; the message holds what it last said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A running cluster."""

    endpoint: Endpoint
    redis_url: str
    worker: int
    """Pid; every jail descends from it."""
    api: int


def environment_root() -> Path:
    """The installed default environment."""
    settings = Settings.from_env()
    return settings.environment_root or bootstrap.environment_root(settings.state_dir)


@contextmanager
def cluster(*, coordinators: int = 0, **extra: str) -> Iterator[Cluster]:
    """Start a cluster with `extra` variables, wait until it is ready, stop it. Raises ClusterFailed."""
    endpoint = Endpoint(host=HOST, port=_free_port(), token=secrets.token_urlsafe(16))
    with ExitStack() as stack:
        state = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="evalpool-bench-")))
        redis = valkey.private_server(valkey.choose_server(), state)
        valkey.prepare(redis)
        variables = child_environment(
            EVAL_REDIS_URL=redis.url,
            EVAL_STATE_DIR=str(state),
            EVAL_ENVIRONMENT_ROOT=str(environment_root()),
            EVAL_HOST=endpoint.host,
            EVAL_PORT=str(endpoint.port),
            EVAL_TOKEN_AUTH=endpoint.token,
            **extra,
        )
        commands = {"valkey": list(redis.argv), "worker": _module("worker"), "api": _module("api")}
        commands |= {f"coordinator-{n}": [sys.executable, *coordinator.COMMAND] for n in range(coordinators)}
        started = {
            name: stack.enter_context(_process(name, command, variables, state))
            for name, command in commands.items()
        }
        _wait_until_ready(endpoint, started, state)
        yield Cluster(
            endpoint=endpoint, redis_url=redis.url, worker=started["worker"].pid, api=started["api"].pid
        )


def _module(name: str) -> list[str]:
    return [sys.executable, "-m", name]


@contextmanager
def _process(
    name: str, command: list[str], variables: Mapping[str, str], state: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """One process with a log, tied to us; ended by SIGTERM, or killed if it does not listen."""
    with (state / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            tether.tethered(command),
            cwd=bootstrap.CHECKOUT,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_ready(
    endpoint: Endpoint, started: Mapping[str, subprocess.Popen[bytes]], state: Path
) -> None:
    give_up = time.monotonic() + READY_TIMEOUT_S
    while not _ready(endpoint):
        for name, process in started.items():
            if process.poll() is not None:
                raise ClusterFailed(f"{name} ended ({process.returncode}): {_tail(state, name)}")
        if time.monotonic() > give_up:
            raise ClusterFailed("not ready:\n" + "\n".join(_tail(state, name) for name in started))
        time.sleep(0.1)


def _tail(state: Path, name: str) -> str:
    return (state / f"{name}.log").read_text(errors="replace")[-2000:]


def _ready(endpoint: Endpoint) -> bool:
    connection = http.client.HTTPConnection(endpoint.host, endpoint.port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
