"""One rig per broker: the same promises are tested on each."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import TYPE_CHECKING

import pytest

from jobs.memory_broker import MemoryBroker
from jobs.model import Chunk, Job, JobResult, Lane, Output, OutputStream, Status
from jobs.redis_inbox import RedisInbox
from jobs.redis_submitter import RedisSubmitter
from jobs.settings import BrokerSettings
from jobs.shard_worker import worker_broker_of
from jobs.shards import home, inbox_of, submitter_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from jobs.broker import Inbox, Submitter, WorkerBroker
    from jobs.connect import Connections

SETTINGS = BrokerSettings(lease_s=0.3, lane_bounds={Lane.SINGLE: 4, Lane.BATCH: 8}, result_ttl_s=100, prefix="contract")


class MemoryRig:
    """Time passes when told to."""

    def __init__(self) -> None:
        self.now = time.time()
        self.submitter: Submitter = MemoryBroker(SETTINGS, clock=lambda: self.now)
        self.inbox: Callable[[], Inbox] = self.submitter.inbox
        self.worker: Callable[[str], WorkerBroker] = self.submitter.worker

    async def pass_time(self, seconds: float) -> None:
        self.now += seconds

    async def dead(self) -> list[tuple[str, str]]:
        return [(job.id, reason) for job, reason in self.submitter.dead]


class RedisRig:
    """Time passes."""

    def __init__(self, connections: Connections) -> None:
        self.connections = connections
        self.submitter: Submitter = RedisSubmitter(connections, SETTINGS)

    def inbox(self) -> Inbox:
        return RedisInbox(self.connections, SETTINGS)

    def worker(self, name: str) -> WorkerBroker:
        return worker_broker_of([self.connections], SETTINGS, worker=name)

    async def pass_time(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def dead(self) -> list[tuple[str, str]]:
        entries = await self.connections.commands.xrange("{contract}:dead")
        return [(fields[b"id"].decode(), fields[b"reason"].decode()) for _, fields in entries]


class ShardsRig(RedisRig):
    """Time passes, on two servers."""

    def __init__(self, *opened: Connections) -> None:
        self.opened = opened
        self.submitter: Submitter = submitter_of(opened, SETTINGS)

    def inbox(self) -> Inbox:
        return inbox_of(self.opened, SETTINGS)

    def worker(self, name: str) -> WorkerBroker:
        return worker_broker_of(self.opened, SETTINGS, worker=name)

    async def dead(self) -> list[tuple[str, str]]:
        return [one for connections in self.opened for one in await RedisRig(connections).dead()]


Rig = MemoryRig | RedisRig | ShardsRig


@pytest.fixture
async def redis_rig(connections) -> AsyncIterator[RedisRig]:
    yield RedisRig(connections)
    await assert_keys_expire(connections)


@pytest.fixture
async def shards_rig(connections, second_connections) -> AsyncIterator[ShardsRig]:
    yield ShardsRig(connections, second_connections)
    for opened in (connections, second_connections):
        await assert_keys_expire(opened)


@pytest.fixture(params=["memory", "redis", "shards"])
async def rig(request, connections, second_connections) -> AsyncIterator[Rig]:
    every = {"memory": MemoryRig, "redis": lambda: RedisRig(connections)}
    yield every.get(request.param, lambda: ShardsRig(connections, second_connections))()
    for opened in (connections, second_connections):
        await assert_keys_expire(opened)


async def assert_keys_expire(connections: Connections) -> None:
    """Fail the test that leaves a key without a TTL."""
    forever = {b"{contract}:" + name for name in (b"environments", b"dead", b"cancels")}
    async for key in connections.commands.scan_iter():
        lane = key.startswith(b"{contract}:lane:")
        assert lane or key in forever or await connections.commands.ttl(key) != -1, key  # -2: gone since


@pytest.fixture
def make_job() -> Callable[..., Job]:
    numbers = itertools.count(1)

    def make(**fields: object) -> Job:
        now = time.time()
        defaults = {"id": f"job-{next(numbers)}", "code": "print(1)", "submitted_at": now, "deadline_at": now + 30}
        return Job(**(defaults | fields))

    return make


@pytest.fixture
def neighbour(make_job) -> Callable[..., Job]:
    """Make a job of the same shard as all others made so: order and bounds are promised there."""
    numbers = (number for number in itertools.count(1) if home(f"neighbour-{number}", 2) == 0)
    return lambda **fields: make_job(id=f"neighbour-{next(numbers)}", **fields)


@pytest.fixture
def result_of() -> Callable[..., JobResult]:
    def result(job: Job, **fields: object) -> JobResult:
        return JobResult(**({"job_id": job.id, "status": Status.OK, "stdout": "1\n"} | fields))

    return result


@pytest.fixture
def printed() -> Callable[..., Output]:
    def output(text: str, *, offset: int = 0, attempt: int = 1) -> Output:
        chunk = Chunk(stream=OutputStream.STDOUT, offset=offset, text=text)
        return Output(attempt=attempt, run=1, chunks=(chunk,))

    return output
