"""A cluster of real processes: Valkey, workers, apis, each of which a test may kill and start again.

The settings are those of `evalctl up`, in a folder of the cluster's own; only the installed environment is shared.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx2
from redis import Redis
from redis.exceptions import RedisError

from evalctl import bootstrap, coordinator, tether, valkey

if TYPE_CHECKING:
    from collections.abc import Callable

READY_S, STOP_S = 60.0, 30.0
ANSWER_S = 60.0
"""So long a client waits for an answer."""
SLOTS = 4


@dataclass(eq=False)
class Service:
    """One process of the cluster."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    port: int = 0

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_S)

    def metric(self, name: str) -> float:
        """Sum over the labels of a metric."""
        text = httpx2.get(f"http://127.0.0.1:{self.port}/metrics", trust_env=False).text
        return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE))

    @property
    def busy(self) -> int:
        """Slots of a worker that have a job."""
        return int(self.metric("evalpool_slots_busy"))

    def jails(self) -> set[int]:
        """Pids of a worker's nsjails."""
        return {pid for pid in children(self.pid) if _is_nsjail(pid)}

    def zygotes(self) -> set[int]:
        """Pids of a worker's zygotes: what its nsjails have started."""
        return {child for jail in self.jails() for child in children(jail)}

    def said(self) -> str:
        return self.log.read_text(errors="replace")


class Cluster:
    """Starts processes, and ends what it started."""

    def __init__(self, environment_root: Path | None, **settings: object) -> None:
        self.state = Path(tempfile.mkdtemp(prefix="evalpool-"))
        (self.state / "run").mkdir()
        self.token = secrets.token_urlsafe(16)
        self.services: list[Service] = []
        self._server = valkey.private_server(valkey.choose_server(), self.state)
        self._settings = {
            "EVAL_REDIS_URL": self._server.url,
            "EVAL_STATE_DIR": self.state,
            "EVAL_ENVIRONMENT_ROOT": environment_root,
            "EVAL_TOKEN_AUTH": self.token,
            "EVAL_SLOTS": SLOTS,
            "EVAL_DEFAULT_TIMEOUT_S": 30,  # programs step back behind all else on a machine, other tests too
            **settings,
        }
        self.redis = Redis.from_url(self._server.url, retry=None)

    def __enter__(self) -> Self:
        self.start_valkey()
        self.start_worker()
        self.start_api()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.state)

    @property
    def redis_url(self) -> str:
        return self._server.url

    def start_valkey(self) -> Service:
        valkey.prepare(self._server)
        service = self._start("valkey", list(self._server.argv))
        _wait(lambda: self._pongs() or not service.alive, "valkey answers")
        return service

    def start_worker(self, **settings: object) -> Service:
        """One more worker; `ready` waits for it."""
        port = free_port()
        command = [sys.executable, "-P", "-m", "worker"]
        return self._start("worker", command, port, EVAL_METRICS_PORT=port, **settings)

    def start_coordinator(self, **settings: object) -> Service:
        """One more `rq worker` for batches."""
        return self._start("coordinator", [sys.executable, *coordinator.COMMAND], **settings)

    def start_api(self, **settings: object) -> Service:
        """One more api, the one that is asked from now on."""
        port = free_port()
        return self._start("api", [sys.executable, "-P", "-m", "api"], port, EVAL_PORT=port, **settings)

    def alive(self, name: str) -> list[Service]:
        """What runs under this name, the latest last."""
        return [service for service in self.services if service.name == name and service.alive]

    @property
    def worker(self) -> Service:
        return self.alive("worker")[-1]

    @property
    def api(self) -> Service:
        return self.alive("api")[-1]

    @property
    def valkey(self) -> Service:
        return self.alive("valkey")[-1]

    @property
    def data_dir(self) -> Path:
        """Where Valkey keeps its files."""
        return self._server.data_dir

    async def ready(self) -> None:
        """Wait until every worker, the latest api and Redis serve."""
        await self.serving(*self.alive("worker"), self.api)

    async def serving(self, *services: Service) -> None:
        """Wait until these serve."""
        waited = list(services)
        deadline = time.monotonic() + READY_S
        async with self.client() as http:
            while waited:
                first = waited[0]
                in_time = first.alive and time.monotonic() < deadline
                assert in_time, f"{first.name} is not ready:\n{first.said()}"
                with suppress(httpx2.TransportError):
                    if (await http.get(f"http://127.0.0.1:{first.port}/readyz")).status_code == 200:
                        waited.pop(0)
                        continue
                await asyncio.sleep(0.05)

    def client(self, api: Service | None = None) -> httpx2.AsyncClient:
        """Client of this api, or of the latest."""
        url, headers = f"http://127.0.0.1:{(api or self.api).port}", {"Authorization": f"Bearer {self.token}"}
        return httpx2.AsyncClient(base_url=url, headers=headers, timeout=ANSWER_S, trust_env=False)

    async def evals(
        self, *requests: dict[str, Any] | str, api: Service | None = None, at_once: int = 1000
    ) -> list[Answer]:
        """Post them, so many at once; the answers in the same order."""
        room = asyncio.Semaphore(at_once)

        async def one(request: dict[str, Any] | str) -> Answer:
            async with room:
                return await post(http, request)

        async with self.client(api) as http:
            return await asyncio.gather(*map(one, requests))

    async def eval(self, code: str, **fields: Any) -> Answer:
        return (await self.evals({"code": code, **fields}))[0]

    def stop(self) -> None:
        """End everything, apis first; by force what does not listen."""
        for name in ("api", "coordinator", "worker", "valkey"):
            for service in self.alive(name):
                service.process.send_signal(signal.SIGTERM)
            for service in self.alive(name):
                try:
                    service.process.wait(STOP_S)
                except subprocess.TimeoutExpired:
                    service.kill()
        self.redis.close()

    def _start(self, name: str, command: list[str], port: int = 0, **settings: object) -> Service:
        number = sum(service.name == name for service in self.services)
        log = self.state / f"{name}-{number}.log"
        ours = {key: value for key, value in os.environ.items() if not key.startswith("EVAL_")}
        asked = {key: str(value) for key, value in (self._settings | settings).items() if value is not None}
        with log.open("wb") as sink:
            process = subprocess.Popen(
                tether.tethered(command),
                cwd=bootstrap.CHECKOUT,
                env=ours | asked | {"PYTHONPATH": str(bootstrap.CHECKOUT)},
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
            )
        self.services.append(service := Service(name, process, log, port))
        return service

    def _pongs(self) -> bool:
        with suppress(RedisError):
            return bool(self.redis.ping())
        return False


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back for one eval."""

    code: int
    """HTTP status; 0 if the connection broke."""
    body: dict[str, Any]
    took_s: float

    @property
    def verdict(self) -> str:
        """Status of a program that ran, or the slug of the problem."""
        return str(self.body.get("status") if self.code == 200 else self.body.get("type", "").rpartition(":")[2])

    @property
    def stdout(self) -> str:
        return str(self.body.get("stdout", ""))


async def post(
    http: httpx2.AsyncClient, request: dict[str, Any] | str, *, path: str = "/v1/eval", **headers: str
) -> Answer:
    """Post one eval, or what another path takes."""
    asked = {"code": request} if isinstance(request, str) else request
    started_at = time.monotonic()
    try:
        response = await http.post(path, json=asked, headers=headers)
    except httpx2.TransportError:
        return Answer(code=0, body={}, took_s=time.monotonic() - started_at)
    return Answer(code=response.status_code, body=response.json(), took_s=time.monotonic() - started_at)


async def until(holds: Callable[[], bool], what: str, *, within_s: float = 30.0) -> None:
    """Wait for something to come true, while others go on."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        await asyncio.sleep(0.02)


def free_port() -> int:
    """A port that nobody listens on, below those that the kernel gives to whoever asks for any."""
    for port in random.sample(range(10_000, 32_000), 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("no free port between 10000 and 32000")


def cgroups_of(pid: int) -> list[Path]:
    """Cgroups that a worker made, wherever it may."""
    return [
        Path(folder, name)
        for folder, names, _ in os.walk("/sys/fs/cgroup")
        for name in names
        if name.startswith(f"evalpool-{pid}-")
    ]


def children(pid: int) -> set[int]:
    """Pids of a process's children."""
    lists = Path("/proc", str(pid), "task").glob("*/children")
    return {int(child) for of_thread in lists for child in of_thread.read_text().split()}


def _wait(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + READY_S
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def _is_nsjail(pid: int) -> bool:
    with suppress(OSError):
        return "nsjail" in Path(f"/proc/{pid}/exe").readlink().name
    return False
