# ruff: noqa: D102 (documented once, in the Protocols)
"""Several independent Redis as one broker: its submitting half and its inbox. The working half is in `shard_worker`.

A job lives on one shard from submit to result. Which one follows from its id and the number of shards, so every
process must have the same list of URLs, in the same order. A new URL is added at the end: then only one id in n
moves, to the new one. With one URL none of this is used.
"""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from typing import TYPE_CHECKING

from jobs.connect import connect
from jobs.model import Lane, LaneStats
from jobs.redis_inbox import InboxStream, RedisInbox
from jobs.redis_submitter import RedisSubmitter
from jobs.replies import Replies
from jobs.spread import Shard, ask
from jobs.tail import stop

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from types import TracebackType
    from typing import Any, Self

    from jobs.broker import Gauges, OpenableInbox, Submitter
    from jobs.connect import Connections
    from jobs.model import Job, JobResult, JobState, SharedPart, Submission, WorkerInfo
    from jobs.settings import BrokerSettings


def home(key: str, shards: int) -> int:
    """Number of the shard on which a job with this id lives.

    Rendezvous hashing: the shard whose hash with the key is highest. An added shard takes its share and moves no other.
    """
    return max(range(shards), key=lambda number: hashlib.blake2b(f"{number} {key}".encode(), digest_size=8).digest())


def open_all(urls: Sequence[str]) -> Sequence[Connections]:
    """Connections to each URL; connects on first use. Raises ValueError on a URL that is none."""
    return [connect(url) for url in urls]


async def close_all(opened: Sequence[Connections]) -> None:
    """Close every connection."""
    for connections in opened:
        await connections.aclose()


def submitter_of(opened: Sequence[Connections], settings: BrokerSettings) -> Submitter:
    """The submitting half over one Redis or several."""
    if len(opened) == 1:
        return RedisSubmitter(opened[0], settings)
    return ShardedSubmitter(
        [Shard(number, one.address, RedisSubmitter(one, settings)) for number, one in enumerate(opened)]
    )


def inbox_of(opened: Sequence[Connections], settings: BrokerSettings) -> OpenableInbox:
    """The inbox over one Redis or several."""
    return RedisInbox(opened[0], settings) if len(opened) == 1 else ShardedInbox(opened, settings)


class ShardedGauges:
    """What both halves can ask. A shard that does not answer counts for nothing; all of them, and it is raised."""

    def __init__(self, shards: Sequence[Shard[Any]]) -> None:
        self._shards = shards

    async def ping(self) -> None:
        await ask(self._shards, _ping)

    async def unreachable(self) -> Sequence[str]:
        answers = await ask(self._shards, _ping)
        return [
            f"Redis {shard.number + 1} of {len(self._shards)}" for shard in self._shards if shard.number not in answers
        ]

    async def lane_stats(self) -> Mapping[Lane, LaneStats]:
        answers = await ask(self._shards, lambda shard: shard.broker.lane_stats())
        return {lane: _sum([stats[lane] for stats in answers.values()]) for lane in Lane}

    async def depth(self, lane: Lane) -> int:
        answers = await ask(self._shards, lambda shard: shard.broker.depth(lane))
        return sum(answers.values())

    async def dead_letters(self) -> int:
        answers = await ask(self._shards, lambda shard: shard.broker.dead_letters())
        return sum(answers.values())


class ShardedSubmitter(ShardedGauges):
    """Implements `Submitter`. A call about one job is its shard's alone, and fails with it."""

    def __init__(self, shards: Sequence[Shard[RedisSubmitter]]) -> None:
        super().__init__(shards)
        self._submitters = [shard.broker for shard in shards]

    async def submit(self, job: Job) -> Submission:
        return await self._home(job.id).submit(job)

    async def cancel(self, job_id: str) -> None:
        # Every worker hears the cancellations of every shard.
        await self._home(job_id).cancel(job_id)

    async def state(self, job_id: str) -> JobState | None:
        return await self._home(job_id).state(job_id)

    async def result(self, job_id: str) -> JobResult | None:
        return await self._home(job_id).result(job_id)

    async def share(self, part_id: str, part: SharedPart, *, ttl_s: int) -> None:
        await self._home(part_id).share(part_id, part, ttl_s=ttl_s)

    async def unshare(self, part_id: str) -> None:
        await self._home(part_id).unshare(part_id)

    async def workers(self) -> Sequence[WorkerInfo]:
        answers = await ask(self._shards, lambda shard: shard.broker.workers())
        known = {worker.id: worker for workers in answers.values() for worker in workers}
        return [known[worker_id] for worker_id in sorted(known)]

    async def environments(self) -> Collection[str]:
        answers = await ask(self._shards, lambda shard: shard.broker.environments())
        return {name for names in answers.values() for name in names}

    def _home(self, key: str) -> RedisSubmitter:
        return self._submitters[home(key, len(self._submitters))]


class ShardedInbox(Replies):
    """Implements `Inbox`: a stream under one id on every shard, read into the same futures."""

    def __init__(self, opened: Sequence[Connections], settings: BrokerSettings) -> None:
        super().__init__()
        self.id = uuid.uuid4().hex
        self._streams = [InboxStream(one, settings, inbox_id=self.id, replies=self) for one in opened]

    async def __aenter__(self) -> Self:
        self._readers = [asyncio.create_task(stream.read(), name="inbox") for stream in self._streams]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for reader in self._readers:
            await stop(reader)
        self.close()

    async def watch(self, job_id: str) -> asyncio.Future[JobResult]:
        return await self._streams[home(job_id, len(self._streams))].watch(job_id)


async def _ping(shard: Shard[Gauges]) -> None:
    await shard.broker.ping()


def _sum(stats: Sequence[LaneStats]) -> LaneStats:
    return LaneStats(
        waiting=sum(one.waiting for one in stats),
        running=sum(one.running for one in stats),
        oldest_s=max(one.oldest_s for one in stats),
    )
