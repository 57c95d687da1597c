# ruff: noqa: D102 (documented once, in the Protocols)
"""The working half of the broker, on one Redis: leases, results, notices.

Whatever needs more than one step on the server is one script (`scripts`); this file holds the policy.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from jobs import keys, wire
from jobs.connect import redis_errors
from jobs.errors import BrokerUnavailable, WireError
from jobs.model import Delivery, Finish, Lane, Reason, cut
from jobs.redis_gauges import RedisGauges
from jobs.redis_unserved import RedisUnserved
from jobs.scripts import Item, Owned, Row, Stream
from jobs.tail import tail

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Sequence
    from typing import Any

    from jobs.connect import Connections
    from jobs.model import Job, JobResult, Output, SharedPart, WorkerInfo
    from jobs.redis_lanes import RedisLanes
    from jobs.settings import BrokerSettings

Held = tuple[Lane, str, str]
"""An entry's id is its own in one stream only."""

_RECORDED = 1


class RedisWorkerBroker(RedisGauges):
    """Implements `WorkerBroker`. The name of the lanes must be unique to this process: leases are held in it."""

    def __init__(self, connections: Connections, settings: BrokerSettings, lanes: RedisLanes) -> None:
        super().__init__(connections, settings)
        self._lanes, self._worker = lanes, lanes.worker
        self._unserved = RedisUnserved(connections, settings, lanes)
        self._lease_ms = int(settings.lease_s * 1000)
        self._held: set[Held] = set()

    def serve(self, environments: Collection[str]) -> None:
        self._lanes.serve(environments)

    async def lease(self, *, single: int, batch: int, wait_s: float) -> Sequence[Delivery]:
        with redis_errors():
            return await self._deliver(await self._lanes.take(single=single, batch=batch, wait_s=wait_s))

    async def renew(self, deliveries: Collection[Delivery]) -> Collection[Delivery]:
        lost: list[Delivery] = []
        with redis_errors():
            for stream in {_stream(delivery) for delivery in deliveries}:
                mine = [delivery for delivery in deliveries if _stream(delivery) == stream]
                ids = [delivery.entry_id for delivery in mine]
                step = partial(self._scripts.renew, self._worker, stream, ids)
                gone = await self._lanes.with_groups(step, [stream])
                lost += [delivery for delivery in mine if delivery.entry_id in gone]
        self._held.difference_update(_held(delivery) for delivery in lost)
        return lost

    async def reclaim(self, *, limit: int) -> Sequence[Delivery]:
        with redis_errors():
            await self._unserved.sweep()
            streams = self._lanes.in_turn()
            rows = await self._lanes.with_groups(
                lambda: self._scripts.reclaim(self._worker, streams, lease_ms=self._lease_ms, limit=limit), streams
            )
            return await self._deliver(rows + await self._unserved.overdue(limit - len(rows)))

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
            await self._lanes.with_groups(
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
            await self._scripts.announce(worker.id, wire.encode_worker(worker), worker.environments)

    async def _deliver(self, rows: Sequence[Row]) -> list[Delivery]:
        deliveries = []
        for row in rows:
            if (*row.stream, row.entry_id) in self._held:
                # It was on its way for longer than a lease, or we were too slow to renew; but nobody else took it, and
                # what has come first runs here. The claim has renewed it.
                continue
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
        try:
            finish = await self._record(delivery, result, dead_reason=dead_reason)
        except BrokerUnavailable:
            raise  # it is tried again, and must not be reclaimed by ourselves meanwhile
        except BaseException:
            self._held.discard(_held(delivery))
            raise
        self._held.discard(_held(delivery))
        return finish

    async def _record(self, delivery: Delivery, result: JobResult, *, dead_reason: str) -> Finish:
        job = delivery.job
        if job.batch is not None:
            return await self._record_item(delivery, job.batch, result, dead_reason=dead_reason)
        with redis_errors():
            ours = await self._lanes.with_groups(
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
        return Finish.RECORDED if ours else Finish.STALE

    async def _record_item(self, delivery: Delivery, batch: str, result: JobResult, *, dead_reason: str) -> Finish:
        with redis_errors():
            owned, item = _owned(delivery, self._worker), _item(delivery.job, batch, result)
            step = partial(self._scripts.finish_item, owned, item, dead_reason=dead_reason)
            done = await self._lanes.with_groups(step, [_stream(delivery)])
        return Finish.RECORDED if done == _RECORDED else Finish.STALE


def _item(job: Job, batch: str, result: JobResult) -> Item:
    return Item(
        batch=batch,
        index=job.index,
        custom_id=job.custom_id,
        job_id=job.id,
        status=result.status,
        result=wire.encode(result),
        cut_result=wire.encode(cut(result)),
        may_run_again=result.reason is Reason.SANDBOX,
    )


def _stream(delivery: Delivery) -> Stream:
    return Stream(delivery.lane, delivery.job.environment)


def _owned(delivery: Delivery, worker: str) -> Owned:
    return Owned(stream=_stream(delivery), entry_id=delivery.entry_id, worker=worker)


def _held(delivery: Delivery) -> Held:
    return (*_stream(delivery), delivery.entry_id)


def _delivery(row: Row) -> Delivery:
    try:
        earlier, data = int(row.fields[b"attempt"]), row.fields[b"job"]
    except (KeyError, ValueError) as error:
        raise WireError(f"not an entry of ours: {error}") from error
    job = wire.decode_job(data)
    if job.environment != row.stream.environment:
        raise WireError("in the lane of another environment")
    return Delivery(job=job, lane=row.stream.lane, entry_id=row.entry_id, attempt=earlier + row.times)
