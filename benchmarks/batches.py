"""What batches cost: rate beside the closed loop, what the agents on /v1/eval feel of one, and the largest one.

The largest one runs on a cluster that runs no program: it is about taking in, storing and giving out.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import redis
import uvloop

from benchmarks import baselines, targets
from benchmarks.cluster import cluster
from benchmarks.load import Program, closed_loop, evenly, open_loop
from benchmarks.samples import Run, pooled, summarise
from benchmarks.targets import Figure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.cluster import Cluster

TRIVIAL = Program(code=baselines.TRIVIAL, stdout=baselines.EXPECTED)
CLOSED_AT = (16, 64)
EVALS_PER_S = 5
PIECE_BYTES = 64 << 10
MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much of everything."""

    rounds: int
    items: int
    closed_s: float
    saturating: int
    under_s: float
    largest: int


FULL = Plan(rounds=2, items=5_000, closed_s=6, saturating=20_000, under_s=20, largest=100_000)
QUICK = Plan(rounds=1, items=1_000, closed_s=3, saturating=5_000, under_s=6, largest=5_000)


@dataclass
class Batches:
    """Everything that was found about batches. Seconds and bytes."""

    rates: list[float] = field(default_factory=list)
    """Items per second, from the first byte of the upload to the last result."""
    closed: dict[int, list[Run]] = field(default_factory=lambda: {level: [] for level in CLOSED_AT})
    under: Run | None = None
    """Single evals while a batch has every slot."""
    largest: int = 0
    submit_s: float = 0.0
    submit_growth_bytes: int = 0
    download_s: float = 0.0
    download_growth_bytes: int = 0
    items_bytes: int = 0
    """What Redis holds of the largest batch before it runs."""
    results_bytes: int = 0
    """The same of its results."""

    def rate(self) -> float:
        return sum(self.rates) / len(self.rates)

    def series(self) -> dict[str, list[Run]]:
        runs = {f"eval {level}, beside batches": of_level for level, of_level in self.closed.items()}
        return runs | ({"eval under a batch": [self.under]} if self.under else {})

    def best_closed_rate(self) -> float:
        return max(summarise(pooled(runs)).rate for runs in self.closed.values())


def figures_of(found: Batches) -> Iterator[Figure]:
    """Every line of the report, the judged ones first."""
    yield Figure(name=targets.BATCH_RATE, value=found.rate(), unit="/s", baseline=found.best_closed_rate())
    if found.under is not None:
        under = summarise(found.under)
        yield Figure(name=targets.UNDER_BATCH, value=under.p99_s * 1000, unit="ms")
        yield Figure(name=targets.UNDER_BATCH_FAILURES, value=under.errors, unit="")
        yield Figure(name="evals at 5/s under a batch, p50", value=under.p50_s * 1000, unit="ms")
    many = f"batch of {found.largest:,}"
    yield Figure(name=f"{many}, submit", value=found.submit_s, unit="s")
    yield Figure(name=f"{many}, submit, growth of the API", value=found.submit_growth_bytes / MIB, unit="MiB")
    yield Figure(name=f"{many}, download", value=found.download_s, unit="s")
    yield Figure(name=f"{many}, download, growth of the API", value=found.download_growth_bytes / MIB, unit="MiB")
    yield Figure(name=f"{many}, Redis before it runs", value=found.items_bytes / MIB, unit="MiB")
    yield Figure(name=f"{many}, Redis with all results", value=found.results_bytes / MIB, unit="MiB")


def measure(plan: Plan, *, say: Callable[[str], None]) -> Batches:
    """Run the plan on clusters of its own. Raises ClusterFailed, OSError."""
    found = Batches()
    with cluster(coordinators=2) as running:
        _batch(running, plan.items // 5)  # warm
        for number in range(1, plan.rounds + 1):
            say(f"batches: round {number} of {plan.rounds}")
            for level, runs in found.closed.items():
                runs.append(_closed(running, level, plan.closed_s))
            found.rates.append(plan.items / _batch(running, plan.items))
        say(f"batches: evals under one of {plan.saturating:,}")
        found.under = _under(running, plan)
    say(f"batches: the largest, {plan.largest:,}, without sandbox")
    with cluster(coordinators=2, EVAL_SANDBOX="noop") as running:
        _largest(running, plan.largest, found)
    return found


def _closed(running: Cluster, concurrency: int, seconds: float) -> Run:
    time.sleep(1.0)
    return uvloop.run(closed_loop(running.endpoint, TRIVIAL, concurrency=concurrency, duration_s=seconds))


def _batch(running: Cluster, items: int) -> float:
    """Seconds from the first byte of the upload until every result has arrived."""
    time.sleep(1.0)
    body = _body(items)
    start = time.perf_counter()
    batch = _submit(running, body)
    lines = sum(piece.count(b"\n") for piece in _download(running, batch))
    took_s = time.perf_counter() - start
    counts = _view(running, batch)["counts"]
    if lines != items or counts != {"ok": items}:
        raise OSError(f"{lines} of {items} results came: {counts}")
    return took_s


def _under(running: Cluster, plan: Plan) -> Run:
    batch = _submit(running, _body(plan.saturating))
    time.sleep(2.0)
    offsets_s = evenly(rate=EVALS_PER_S, duration_s=plan.under_s)
    run = uvloop.run(open_loop(running.endpoint, TRIVIAL, offsets_s=offsets_s))
    left = _view(running, batch)
    if left["state"] != "running":
        raise OSError(f"the batch was {left['state']} before the evals were")
    _ask(running, "DELETE", f"/v1/batches/{batch}")
    return run


def _largest(running: Cluster, items: int, found: Batches) -> None:
    found.largest = items
    body = _varied(items)
    with redis.Redis.from_url(running.redis_url) as client:
        _submit(running, _body(1_000))
        time.sleep(3.0)
        before = _used(client)
        with _growth(running.api) as growth:
            start = time.perf_counter()
            batch = _submit(running, body)
            found.submit_s = time.perf_counter() - start
        found.submit_growth_bytes = growth()
        found.items_bytes = _used(client) - before
        while _view(running, batch)["state"] != "done":
            time.sleep(0.5)
        found.results_bytes = _used(client) - before
        with _growth(running.api) as growth:
            start = time.perf_counter()
            lines = sum(piece.count(b"\n") for piece in _download(running, batch))
            found.download_s = time.perf_counter() - start
        found.download_growth_bytes = growth()
    if lines != items:
        raise OSError(f"{lines} of {items} results came")


def _body(items: int) -> bytes:
    return b"".join(
        b'{"custom_id": "item-%d", "code": %b}\n' % (number, json.dumps(TRIVIAL.code).encode())
        for number in range(items)
    )


def _varied(items: int) -> bytes:
    """Programs that do not compress to nothing, as those of the other batches do: some 165 bytes a line."""
    chance = random.Random(1)
    code = "def f(x):\n    return x * {} + {}\n\nfor i in range(3):\n    print(f(i), '{:x}')\n"
    return b"".join(
        json.dumps(
            {
                "custom_id": f"item-{number}",
                "code": code.format(chance.random(), chance.random(), chance.getrandbits(64)),
            }
        ).encode()
        + b"\n"
        for number in range(items)
    )


def _submit(running: Cluster, body: bytes) -> str:
    answer = _ask(running, "POST", "/v1/batches", body)
    return str(json.loads(answer)["id"])


def _view(running: Cluster, batch: str) -> dict[str, Any]:
    return dict(json.loads(_ask(running, "GET", f"/v1/batches/{batch}")))


def _ask(running: Cluster, method: str, path: str, body: bytes | None = None) -> bytes:
    with _connected(running) as connection:
        connection.request(method, path, body, _headers(running))
        answer = connection.getresponse()
        data = answer.read()
    if answer.status >= 300:
        raise OSError(f"{method} {path}: {answer.status} {data[:200]!r}")
    return data


def _download(running: Cluster, batch: str) -> Iterator[bytes]:
    with _connected(running) as connection:
        connection.request("GET", f"/v1/batches/{batch}/results", headers=_headers(running))
        answer = connection.getresponse()
        while piece := answer.read1(PIECE_BYTES):
            yield piece


@contextmanager
def _connected(running: Cluster) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(running.endpoint.host, running.endpoint.port, timeout=300)
    try:
        yield connection
    finally:
        connection.close()


def _headers(running: Cluster) -> dict[str, str]:
    return {"Authorization": f"Bearer {running.endpoint.token}", "Content-Type": "application/jsonl"}


@contextmanager
def _growth(pid: int) -> Iterator[Callable[[], int]]:
    """Gives how much a process grew at most within the block, bytes."""
    before, peak, over = _rss(pid), [_rss(pid)], threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            peak.append(_rss(pid))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield lambda: max(peak) - before
    finally:
        over.set()
        watching.join()


def _rss(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def _used(client: redis.Redis) -> int:
    return int(client.info("memory")["used_memory"])
