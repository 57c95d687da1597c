# ruff: noqa: D102 (documented once, in the Protocols)
"""The broker on Redis Streams: its submitting and its working half. The inbox is in `redis_inbox`.

Whatever needs more than one step on the server is one script (`scripts`); this file holds the policy.
"""

from __future__ import annotations

import math
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from redis.exceptions import RedisError, ResponseError

from jobs import keys, wire
from jobs.connect import MAX_BLOCK_S, redis_errors
from jobs.errors import LaneFull, WireError
from jobs.keys import Keys
from jobs.model import DEFAULT, Delivery, Finish, JobState, Lane, LaneStats, Reason, Submission, cut
from jobs.scripts import LANES, Item, Owned, Row, Scripts, Stream
from jobs.tail import tail

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
    from typing import Any

    from jobs.connect import Client, Connections
    from jobs.model import Job, JobResult, Output, SharedPart, WorkerInfo
    from jobs.settings import BrokerSettings

T = TypeVar("T")
Held = tuple[Lane, str, str]
"""An entry's id is its own in one stream only."""

_NO_RESULT = (None, keys.SUBMITTED, keys.QUEUED)
_WAITED_S = 0.001
"""A blocking read that took longer found empty lanes. A hint only: a wrong guess costs a round trip."""
_SWEEP_EVERY_S = 60.0
_GONE_MS = 60_000
_RECORDED = 1


class _RedisGauges:
    """What both halves have in common."""

    def __init__(self, connections: Connections, settings: BrokerSettings) -> None:
        self._redis = connections.commands
        self._connections = connections
        self._settings = settings
        self._keys = Keys(settings.prefix)
        self._scripts = Scripts(connections.commands, self._keys)

    async def ping(self) -> None:
        with redis_errors():
            await self._redis.ping()

    async def unreachable(self) -> Sequence[str]:
        await self.ping()
        return ()

    async def lane_stats(self) -> Mapping[Lane, LaneStats]:
        with redis_errors():
            known = await self._known()
            lanes = {lane: [Stream(lane, name) for name in known] for lane in LANES}
            return {lane: _lane_stats(*await self._scripts.stats(streams)) for lane, streams in lanes.items()}

    async def depth(self, lane: Lane) -> int:
        stats = (await self.lane_stats())[lane]
        return stats.waiting + stats.running

    async def dead_letters(self) -> int:
        with redis_errors():
            return await self._redis.xlen(self._keys.dead)


    async def workers(self) -> Sequence[WorkerInfo]:
        with redis_errors():
            members: Any = await self._redis.smembers(self._keys.workers)
            ids = sorted(members)
            if not ids:
                return []
            notices: Any = await self._redis.mget([self._keys.worker(known.decode()) for known in ids])
            if gone := [known for known, notice in zip(ids, notices, strict=True) if notice is None]:
                await self._redis.srem(self._keys.workers, *gone)
        return [worker for notice in notices if notice is not None and (worker := _worker(notice))]

    async def environments(self) -> Collection[str]:
        workers = await self.workers()
        if workers:
            return {name for worker in workers for name in worker.environments}
        with redis_errors():
            return await self._known()

    async def _known(self) -> set[str]:
        """Environments whose lanes may hold something."""
        names: Any = await self._redis.smembers(self._keys.environments)
        return {DEFAULT, *(name.decode() for name in names)}


class RedisSubmitter(_RedisGauges):
    """Implements `Submitter`."""

    async def submit(self, job: Job) -> Submission:
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
            await self._redis.xadd(self._keys.cancels, {"id": job_id}, maxlen=keys.CANCEL_LENGTH)

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
        with redis_errors():
            await self._redis.set(self._keys.shared(part_id), wire.encode(part), ex=ttl_s)

    async def unshare(self, part_id: str) -> None:
        with redis_errors():
            await self._redis.unlink(self._keys.shared(part_id))

    def _record_ttl_s(self, job: Job) -> int:
        if not job.keep_result:
            return keys.SUBMITTED_TTL_S
        return self._settings.result_ttl_s + max(0, math.ceil(job.deadline_at - time.time()))


class RedisWorkerBroker(_RedisGauges):
    """Implements `WorkerBroker`. `worker` must be unique to this process: leases are held in its name."""

    def __init__(self, connections: Connections, settings: BrokerSettings, *, worker: str) -> None:
        super().__init__(connections, settings)
        self._worker = worker
        self._reads = connections.reads
        self._lease_ms = int(settings.lease_s * 1000)
        self._held: set[Held] = set()
        self._empty = False
        """The lanes were empty a moment ago: wait at once, without looking first."""
        self._swept_at = self._saved_at = time.monotonic()
        self._environments = [DEFAULT]

    def serve(self, environments: Collection[str]) -> None:
        self._environments = list(environments)
        self._empty = False

    async def lease(self, *, single: int, batch: int, wait_s: float) -> Sequence[Delivery]:
        with redis_errors():
            # A wait for one lane takes what is there as well.
            waits = wait_s > 0 and (self._empty or not (single and batch))
            rows = [] if waits else await self._look(single, batch)
            if not rows and wait_s > 0:
                rows = await self._wait(single, batch, wait_s)
            return await self._deliver(rows)

    async def renew(self, deliveries: Collection[Delivery]) -> Collection[Delivery]:
        lost: list[Delivery] = []
        with redis_errors():
            for stream in {_stream(delivery) for delivery in deliveries}:
                mine = [delivery for delivery in deliveries if _stream(delivery) == stream]
                ids = [delivery.entry_id for delivery in mine]
                step = partial(self._scripts.renew, self._worker, stream, ids)
                gone = await self._with_groups(step, [stream])
                lost += [delivery for delivery in mine if delivery.entry_id in gone]
        self._held.difference_update(_held(delivery) for delivery in lost)
        return lost

    async def reclaim(self, *, limit: int) -> Sequence[Delivery]:
        with redis_errors():
            await self._sweep()
            streams = self._streams()
            rows = await self._with_groups(
                lambda: self._scripts.reclaim(self._worker, streams, lease_ms=self._lease_ms, limit=limit), streams
            )
            # We were too slow to renew, but nobody took these: the claim has renewed them.
            rows = [row for row in rows if (*row.stream, row.entry_id) not in self._held]
            return await self._deliver(rows + await self._stranded(limit - len(rows)))

    async def shared(self, part_id: str) -> SharedPart | None:
        with redis_errors():
            data: Any = await self._redis.get(self._keys.shared(part_id))
        return None if data is None else wire.decode_shared(data)

    async def emit(self, delivery: Delivery, output: Output) -> None:
        if delivery.job.reply_to is not None:
            with redis_errors():
                await self._scripts.emit(delivery.job.reply_to, delivery.job.id, wire.encode(output))

    async def finish(self, delivery: Delivery, result: JobResult) -> Finish:
        return await self._finish(delivery, result, dead_reason="")

    async def release(self, delivery: Delivery) -> None:
        self._held.discard(_held(delivery))
        with redis_errors():
            await self._with_groups(
                lambda: self._scripts.release(_owned(delivery, self._worker), attempts=delivery.attempt - 1),
                [_stream(delivery)],
            )

    async def dead_letter(self, delivery: Delivery, result: JobResult) -> Finish:
        reason = result.message or result.reason or result.status
        return await self._finish(delivery, result, dead_reason=reason)

    async def cancellations(self) -> AsyncIterator[str]:
        with redis_errors():
            seconds, _ = await self._redis.time()
        start = f"{(seconds - keys.CANCEL_WINDOW_S) * 1000}-0"
        async for entries in tail(self._connections, self._keys.cancels, start=start):
            for entry in entries:
                yield entry.fields[b"id"].decode()

    async def announce(self, worker: WorkerInfo) -> None:
        with redis_errors():
            async with self._redis.pipeline() as step:
                step.set(self._keys.worker(worker.id), wire.encode_worker(worker), ex=keys.WORKER_TTL_S)
                step.sadd(self._keys.workers, worker.id)
                step.expire(self._keys.workers, keys.WORKERS_TTL_S)
                step.sadd(self._keys.environments, *worker.environments)
                await step.execute()

    def _streams(self) -> list[Stream]:
        """Lanes of what is served, single ones first; each time another environment goes first."""
        self._environments.append(self._environments.pop(0))
        return streams(self._environments)

    async def _look(self, single: int, batch: int) -> list[Row]:
        lanes = self._streams()
        order = list(self._environments)
        return await self._with_groups(
            lambda: self._scripts.lease(self._worker, order, single=single, batch=batch), lanes
        )

    async def _wait(self, single: int, batch: int, wait_s: float) -> list[Row]:
        room = {lane: count for lane, count in ((Lane.SINGLE, single), (Lane.BATCH, batch)) if count > 0}
        if not room:
            return []
        lanes = [stream for stream in self._streams() if stream.lane in room]
        # COUNT is per stream, so with several only 1 keeps to what was asked for (and one more of each).
        count = 1 if len(lanes) > 1 else max(room.values())
        began = time.monotonic()
        rows = await self._with_groups(lambda: self._read(lanes, count, min(wait_s, MAX_BLOCK_S)), lanes)
        self._empty = len(rows) < len(lanes) and time.monotonic() - began >= _WAITED_S
        return rows

    async def _read(self, lanes: Collection[Stream], count: int, block_s: float) -> list[Row]:
        return await self._read_by(self._reads, lanes, count, block_s)

    async def _read_by(self, client: Client, lanes: Collection[Stream], count: int, block_s: float) -> list[Row]:
        names = {self._keys.lane(*stream): stream for stream in lanes}
        reply: Any = await client.xreadgroup(
            keys.GROUP,
            self._worker,
            dict.fromkeys(names, ">"),
            count=count,
            block=max(1, round(block_s * 1000)),  # 0 would be for ever
        )
        return [
            Row(names[name.decode()], entry_id.decode(), 1, fields)
            for name, entries in reply.items()
            for entry_id, fields in entries
        ]

    async def _deliver(self, rows: Sequence[Row]) -> list[Delivery]:
        deliveries = []
        for row in rows:
            try:
                deliveries.append(_delivery(row))
            except WireError as error:
                await self._bury(row, str(error))
        self._held.update(_held(delivery) for delivery in deliveries)
        return deliveries

    async def _bury(self, row: Row, reason: str) -> None:
        """Park what nobody can decode; nobody can be told either."""
        with suppress(RedisError):  # its lease runs out and it comes by again
            await self._scripts.finish(
                Owned(stream=row.stream, entry_id=row.entry_id, worker=self._worker),
                job_id="",
                dead_reason=reason,
            )

    async def _finish(self, delivery: Delivery, result: JobResult, *, dead_reason: str) -> Finish:
        job = delivery.job
        if job.batch is not None:
            return await self._finish_item(delivery, job.batch, result, dead_reason=dead_reason)
        with redis_errors():
            ours = await self._with_groups(
                lambda: self._scripts.finish(
                    _owned(delivery, self._worker),
                    job_id=job.id,
                    result=wire.encode(result),
                    reply_to=job.reply_to,
                    result_ttl_s=self._settings.result_ttl_s if job.keep_result else None,
                    dead_reason=dead_reason,
                ),
                [_stream(delivery)],
            )
        # Not before: while Redis is away it is tried again, and must not be reclaimed by ourselves meanwhile.
        self._held.discard(_held(delivery))
        return Finish.RECORDED if ours else Finish.STALE

    async def _finish_item(self, delivery: Delivery, batch: str, result: JobResult, *, dead_reason: str) -> Finish:
        job = delivery.job
        item = Item(
            batch=batch,
            index=job.index,
            custom_id=job.custom_id,
            job_id=job.id,
            status=result.status,
            result=wire.encode(result),
            cut_result=wire.encode(cut(result)),
            may_run_again=result.reason is Reason.SANDBOX,
        )
        with redis_errors():
            step = partial(self._scripts.finish_item, _owned(delivery, self._worker), item, dead_reason=dead_reason)
            done = await self._with_groups(step, [_stream(delivery)])
        self._held.discard(_held(delivery))
        return Finish.RECORDED if done == _RECORDED else Finish.STALE

    async def _sweep(self) -> None:
        if time.monotonic() - self._swept_at >= _SWEEP_EVERY_S:
            self._swept_at = time.monotonic()
            await self._scripts.sweep(self._streams(), idle_ms=_GONE_MS)
            for environment in await self._unserved():
                await self._scripts.retire(environment)

    async def _unserved(self) -> set[str]:
        """Environments whose lanes may hold something, and no live worker serves them."""
        served = {name for worker in await self.workers() for name in worker.environments}
        return await self._known() - served - set(self._environments)

    async def _stranded(self, limit: int) -> list[Row]:
        """Lease what waits for an unserved environment past its deadline, now and then."""
        if limit <= 0 or time.monotonic() - self._saved_at < self._settings.lease_s:
            return []
        self._saved_at = time.monotonic()
        rows: list[Row] = []
        for stream in streams(sorted(await self._unserved())):
            rows += await self._strand(stream, limit - len(rows))
        return rows

    async def _strand(self, stream: Stream, limit: int) -> list[Row]:
        name = self._keys.lane(*stream)
        entries: Any = await self._redis.xrange(name, count=limit) if limit > 0 else []
        over = [entry_id for entry_id, fields in entries if _is_over(fields)]
        if not over:
            return []
        # FORCE: nobody has leased most of these. What a live worker runs has been idle for less, and stays there.
        claim = partial(self._redis.xclaim, name, keys.GROUP, self._worker, self._lease_ms, over, force=True)
        claimed: Any = await self._with_groups(claim, [stream])
        return [Row(stream, entry_id.decode(), 1, fields) for entry_id, fields in claimed if fields]

    async def _with_groups(self, step: Callable[[], Awaitable[T]], lanes: Sequence[Stream]) -> T:
        """Do the step; where Redis is new or was wiped, make the groups of the lanes and do it again."""
        try:
            return await step()
        except ResponseError as error:
            if not str(error).startswith(("NOGROUP", "UNBLOCKED")):
                raise
        for stream in lanes:
            with suppress(ResponseError):  # another worker was first
                await self._redis.xgroup_create(self._keys.lane(*stream), keys.GROUP, id="0", mkstream=True)
        return await step()


def streams(environments: Sequence[str]) -> list[Stream]:
    """Every lane of these environments, single ones first."""
    return [Stream(lane, environment) for lane in LANES for environment in environments]


def _stream(delivery: Delivery) -> Stream:
    return Stream(delivery.lane, delivery.job.environment)


def _owned(delivery: Delivery, worker: str) -> Owned:
    return Owned(stream=_stream(delivery), entry_id=delivery.entry_id, worker=worker)


def _held(delivery: Delivery) -> Held:
    return (*_stream(delivery), delivery.entry_id)


def _is_over(fields: Mapping[bytes, bytes]) -> bool:
    """Whether an entry's deadline has passed, or nobody can read it."""
    try:
        return wire.decode_job(fields[b"job"]).deadline_at <= time.time()
    except (KeyError, WireError):
        return True


def _delivery(row: Row) -> Delivery:
    try:
        earlier, data = int(row.fields[b"attempt"]), row.fields[b"job"]
    except (KeyError, ValueError) as error:
        raise WireError(f"not an entry of ours: {error}") from error
    job = wire.decode_job(data)
    if job.environment != row.stream.environment:
        raise WireError("in the lane of another environment")
    return Delivery(job=job, lane=row.stream.lane, entry_id=row.entry_id, attempt=earlier + row.times)


def _worker(notice: bytes) -> WorkerInfo | None:
    """The worker of a notice; None for one that we cannot read, which must not hide the others."""
    with suppress(WireError):
        return wire.decode_worker(notice)
    return None


def _lane_stats(waiting: int, running: int, age_ms: int) -> LaneStats:
    return LaneStats(waiting=waiting, running=running, oldest_s=age_ms / 1000)
