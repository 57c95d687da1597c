# ruff: noqa: D102 (documented once, in the Protocols)
"""The submitting half of the broker, on one Redis. Its inbox is in `redis_inbox`."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from jobs import keys, wire
from jobs.connect import redis_errors
from jobs.errors import LaneFull
from jobs.model import JobState, Submission
from jobs.redis_gauges import RedisGauges
from jobs.room import Room
from jobs.scripts import Stream

if TYPE_CHECKING:
    from typing import Any

    from jobs.connect import Connections
    from jobs.model import Job, JobResult, SharedPart
    from jobs.settings import BrokerSettings

_NO_RESULT = (None, keys.SUBMITTED, keys.QUEUED)


class RedisSubmitter(RedisGauges):
    """Implements `Submitter`."""

    def __init__(self, connections: Connections, settings: BrokerSettings) -> None:
        super().__init__(connections, settings)
        self._room = Room(connections.commands)

    async def submit(self, job: Job) -> Submission:
        if await self._room.is_short() and not await self._is_known(job.id):
            await self._room.require()
        bound = self._settings.lane_bounds[job.lane]
        with redis_errors():
            word, depth = await self._scripts.submit(
                Stream(job.lane, job.environment),
                job_id=job.id,
                job=wire.encode(job),
                bound=bound,
                record=keys.QUEUED if job.keep_result else keys.SUBMITTED,
                ttl_s=self._record_ttl_s(job),
            )
        if word == "full":
            raise LaneFull(lane=job.lane, depth=depth, bound=bound)
        return Submission(word)

    async def cancel(self, job_id: str) -> None:
        with redis_errors():
            await self._scripts.cancel(job_id)

    async def state(self, job_id: str) -> JobState | None:
        with redis_errors():
            # The first byte tells the states apart; the whole may be megabytes.
            first = await self._redis.getrange(self._keys.job(job_id), 0, 0)
        if first in (b"", keys.SUBMITTED):
            return None
        return JobState.QUEUED if first == keys.QUEUED else JobState.DONE

    async def result(self, job_id: str) -> JobResult | None:
        with redis_errors():
            data: Any = await self._redis.get(self._keys.job(job_id))
        return None if data in _NO_RESULT else wire.decode_result(data)

    async def share(self, part_id: str, part: SharedPart, *, ttl_s: int) -> None:
        await self._room.require()
        with redis_errors():
            await self._redis.set(self._keys.shared(part_id), wire.encode(part), ex=ttl_s)

    async def unshare(self, part_id: str) -> None:
        with redis_errors():
            await self._redis.unlink(self._keys.shared(part_id))

    async def _is_known(self, job_id: str) -> bool:
        """Whether a submit of it would be a retry."""
        with redis_errors():
            return bool(await self._redis.exists(self._keys.job(job_id)))

    def _record_ttl_s(self, job: Job) -> int:
        if not job.keep_result:
            return keys.SUBMITTED_TTL_S
        return self._settings.result_ttl_s + max(0, math.ceil(job.deadline_at - time.time()))
