"""What only the broker on Redis has to promise."""

from __future__ import annotations

import asyncio
import shutil
import time
from contextlib import suppress
from unittest.mock import AsyncMock

import pytest
from cluster import until
from link import Link
from redis.exceptions import ConnectionError as RedisConnectionError

from jobs import keys, portion, redis_unserved, tail, wire
from jobs.connect import connect
from jobs.errors import BrokerFull, BrokerUnavailable, WireError
from jobs.model import Finish, JobResult, JobState, Lane, Status, Submission, WorkerInfo
from jobs.redis_submitter import RedisSubmitter
from jobs.settings import BrokerSettings

SINGLE = "{contract}:lane:single:default"
LEASE_S = 1.0
RIG_LEASE_S = 0.3


@pytest.fixture
async def mortal_rig(mortal_valkey, redis_rig):
    """A rig on a server that may be killed."""
    connections = connect(mortal_valkey.url)
    yield type(redis_rig)(connections)
    await connections.aclose()


async def run_one(worker, job, result):
    """Have the worker lease the job and finish it."""
    [delivery] = await worker.lease(single=1, batch=1, wait_s=5)
    assert delivery.job.id == job.id
    return await worker.finish(delivery, result)


@pytest.mark.parametrize("data", ["kept", "lost"])
async def test_a_killed_server_is_survived_by_who_waits(mortal_rig, mortal_valkey, make_job, result_of, data):
    worker = mortal_rig.worker("a")
    async with mortal_rig.inbox() as inbox:
        first, second = make_job(reply_to=inbox.id), make_job(reply_to=inbox.id)
        await mortal_rig.submitter.submit(first)
        assert await run_one(worker, first, result_of(first)) is Finish.RECORDED
        feed = worker.cancellations()
        next_cancel = asyncio.create_task(anext(feed))
        lease = asyncio.create_task(worker.lease(single=1, batch=1, wait_s=20))
        await asyncio.sleep(0.1)

        mortal_valkey.kill()
        if data == "lost":
            shutil.rmtree(mortal_valkey.folder / "appendonlydir")
        mortal_valkey.start()
        future = inbox.expect(second.id)
        assert await mortal_rig.submitter.submit(second) is Submission.ACCEPTED
        await mortal_rig.submitter.cancel("job-9")

        [delivery] = await lease
        assert delivery.job == second
        assert await worker.finish(delivery, result_of(second)) is Finish.RECORDED
        assert result_of(second) == await asyncio.wait_for(future, 20)
        assert await asyncio.wait_for(next_cancel, 20) == "job-9"
        await feed.aclose()


async def test_a_job_leased_before_the_server_died_is_finished_after(mortal_rig, mortal_valkey, make_job, result_of):
    worker = mortal_rig.worker("a")
    leased, queued = make_job(keep_result=True), make_job()
    await mortal_rig.submitter.submit(leased)
    [delivery] = await worker.lease(single=1, batch=1, wait_s=1)
    await mortal_rig.submitter.submit(queued)

    mortal_valkey.kill()
    mortal_valkey.start()

    assert await worker.finish(delivery, result_of(leased)) is Finish.RECORDED
    assert await mortal_rig.submitter.state(leased.id) is JobState.DONE
    assert await run_one(worker, queued, result_of(queued)) is Finish.RECORDED


async def test_wiped_data_is_survived_by_who_waits(redis_rig, valkey, make_job, result_of):
    worker = redis_rig.worker("a")
    async with redis_rig.inbox() as inbox:
        lost = make_job(reply_to=inbox.id)
        await redis_rig.submitter.submit(lost)
        [delivery] = await worker.lease(single=1, batch=1, wait_s=1)
        lease = asyncio.create_task(worker.lease(single=1, batch=1, wait_s=5))
        await asyncio.sleep(0.05)

        valkey.client.flushall()
        valkey.client.script_flush()

        assert await worker.finish(delivery, result_of(lost)) is Finish.STALE
        assert [delivery] == await worker.renew([delivery])
        await worker.release(delivery)
        assert await worker.reclaim(limit=8) == []
        job = make_job(reply_to=inbox.id)
        future = inbox.expect(job.id)
        await redis_rig.submitter.submit(job)
        [delivery] = await lease
        await worker.finish(delivery, result_of(job))
        assert result_of(job) == await asyncio.wait_for(future, 20)


async def test_an_inbox_hears_a_new_server_whose_clock_is_behind(redis_rig, valkey, make_job, result_of, monkeypatch):
    """Stream ids are times: behind an id of the old server, those of the new one would not be seen."""
    monkeypatch.setattr(tail, "MAX_BLOCK_S", 0.1)
    worker = redis_rig.worker("a")
    async with redis_rig.inbox() as inbox:
        ahead = f"{int(time.time() + 3600) * 1000}-0"
        old = {"id": "old", "result": wire.encode(result_of(make_job()))}
        valkey.client.xadd(f"{{contract}}:inbox:{inbox.id}", old, id=ahead)
        await until(lambda: inbox.late_replies == 1, "the old reply is read")
        valkey.client.flushall()
        job = make_job(reply_to=inbox.id)
        future = inbox.expect(job.id)
        await redis_rig.submitter.submit(job)

        await run_one(worker, job, result_of(job))

        assert result_of(job) == await asyncio.wait_for(future, 20)


async def test_a_lane_removed_by_an_operator_comes_back(redis_rig, valkey, make_job):
    worker = redis_rig.worker("a")
    assert await worker.lease(single=1, batch=1, wait_s=0) == []
    valkey.client.delete("{contract}:lane:batch:default")
    await redis_rig.submitter.submit(single := make_job())

    assert [single] == [delivery.job for delivery in await worker.lease(single=2, batch=2, wait_s=0)]
    await redis_rig.submitter.submit(batch := make_job(lane=Lane.BATCH))
    assert [batch] == [delivery.job for delivery in await worker.lease(single=2, batch=2, wait_s=1)]


async def test_no_server_is_broker_unavailable(tmp_path, make_job):
    connections = connect(f"unix://{tmp_path}/none")
    submitter = RedisSubmitter(connections, BrokerSettings())

    calls = [submitter.ping(), submitter.submit(make_job())]
    errors = await asyncio.gather(*calls, return_exceptions=True)

    assert [BrokerUnavailable] * 2 == [type(error) for error in errors]
    await connections.aclose()


async def test_a_server_that_is_full_takes_no_job_and_loses_none(redis_rig, valkey, make_job, result_of):
    """What ends a job begins with a step that frees memory, and Redis does not stop a script half-way."""
    worker = redis_rig.worker("a")
    await worker.lease(single=1, batch=1, wait_s=0)  # the groups of the lanes are there, as everywhere but at the start
    async with redis_rig.inbox() as inbox:
        waited = make_job(reply_to=inbox.id)
        kept = make_job(keep_result=True)
        future = inbox.expect(waited.id)
        for job in (waited, kept, make_job(lane=Lane.BATCH)):
            await redis_rig.submitter.submit(job)
        valkey.client.config_set("maxmemory", 1)
        try:
            with pytest.raises(BrokerUnavailable, match="maxmemory"):
                await redis_rig.submitter.submit(make_job())
            deliveries = await worker.lease(single=2, batch=0, wait_s=1)
            assert list(await worker.renew(deliveries)) == []
            finished = [await worker.finish(one, result_of(one.job)) for one in deliveries]
            [delivery] = await worker.lease(single=0, batch=1, wait_s=1)
            assert await worker.dead_letter(delivery, result_of(delivery.job, message="died")) is Finish.RECORDED
            # Else the worker would count as dead in seconds, and nothing that is not wanted any more would stop.
            await worker.announce(WorkerInfo(id="a", slots=1, environments=("default",), started_at=0.0))
            await redis_rig.submitter.cancel("job-9")
        finally:
            valkey.client.config_set("maxmemory", 0)

        assert [known.id for known in await redis_rig.submitter.workers()] == ["a"]
        assert [fields[b"id"] for _, fields in valkey.client.xrange("{contract}:cancels")] == [b"job-9"]
        assert finished == [Finish.RECORDED] * 2
        assert await asyncio.wait_for(future, 20) == result_of(waited)
        assert await redis_rig.submitter.result(kept.id) == result_of(kept)


async def test_a_server_that_takes_no_writes_counts_as_away(mortal_rig, mortal_valkey, make_job):
    """A demoted master answers a PING, and so the service called itself ready."""
    await mortal_rig.submitter.ping()
    mortal_valkey.client.replicaof("127.0.0.1", "1")

    calls = [mortal_rig.submitter.unreachable(), mortal_rig.submitter.submit(make_job())]
    errors = await asyncio.gather(*calls, return_exceptions=True)

    assert [BrokerUnavailable] * 2 == [type(error) for error in errors]
    mortal_valkey.client.replicaof("NO", "ONE")
    await mortal_rig.submitter.ping()


async def test_an_inbox_leaves_a_server_that_is_no_master_any_more(
    redis_rig, valkey, mortal_valkey, make_job, monkeypatch
):
    """A replica lets everybody read: an inbox would hear nothing more from one that does not follow."""
    monkeypatch.setattr(tail, "MAX_BLOCK_S", 0.1)
    async with Link(mortal_valkey.socket) as link:
        connections = connect(link.url)
        rig = type(redis_rig)(connections)
        async with rig.inbox() as inbox:
            for old in (True, False):
                job = make_job(reply_to=inbox.id)
                result = JobResult(job_id=job.id, status=Status.OK)
                future = inbox.expect(job.id)
                if not old:
                    mortal_valkey.client.replicaof("127.0.0.1", "1")
                    await asyncio.sleep(0.6)  # who was reading was disconnected, and comes back too early
                    link.target = valkey.socket
                await rig.submitter.submit(job)
                await run_one(rig.worker("a"), job, result)
                assert result == await asyncio.wait_for(future, 20)
        await connections.aclose()


@pytest.mark.parametrize("lane", Lane)
async def test_big_jobs_come_in_replies_of_bounded_size(redis_rig, make_job, lane):
    """Four at once were longer on their way than a lease: each worker in turn took them, and none ran one."""
    jobs = [make_job(lane=lane, files={"f": bytes(portion.PORTION_BYTES * 2 // 3)}) for _ in range(4)]
    for job in jobs:
        await redis_rig.submitter.submit(job)
    room = {"single": 4, "batch": 0} if lane is Lane.SINGLE else {"single": 0, "batch": 4}
    first, second = redis_rig.worker("a"), redis_rig.worker("b")

    leased = [len(await first.lease(**room, wait_s=1)) for _ in range(2)]
    await redis_rig.pass_time(RIG_LEASE_S * 1.5)
    reclaimed: list[int] = []
    while sum(reclaimed) < 4:  # on a slow machine the first of them run out again meanwhile
        reclaimed.append(len(await second.reclaim(limit=8)))

    assert leased == [2, 2]
    assert max(reclaimed) == 2


async def test_small_jobs_are_leased_by_number_again_after_big_ones(redis_rig, make_job):
    worker = redis_rig.worker("a")
    for size in (portion.PORTION_BYTES, 1, 1, 1, 1):
        await redis_rig.submitter.submit(make_job(lane=Lane.BATCH, files={"f": bytes(size)}))

    assert [len(await worker.lease(single=0, batch=4, wait_s=1)) for _ in range(2)] == [1, 4]


async def test_an_inbox_asks_for_as_many_replies_as_are_bounded_in_size(redis_rig, monkeypatch):
    monkeypatch.setattr(portion, "PORTION_BYTES", 1000)
    redis = redis_rig.connections.commands
    for size in [1] * 15 + [900] * 18:
        await redis.xadd("{contract}:inbox:x", {"result": "x" * size})
    await redis.expire("{contract}:inbox:x", 60)
    counts = []
    async for entries in tail.tail(redis_rig.connections, "{contract}:inbox:x", start="0"):
        counts.append(len(entries))
        if sum(counts) == 33:
            break

    assert counts == [1, 2, 4, 8, 16, 1, 1]


async def test_what_comes_twice_runs_once(redis_rig, make_job, monkeypatch):
    """A reply that is on its way for longer than a lease: the worker has taken its own job over meanwhile."""
    worker = redis_rig.worker("a")
    await redis_rig.submitter.submit(job := make_job())
    [row] = await worker._lanes.take(single=1, batch=0, wait_s=1)
    await redis_rig.pass_time(RIG_LEASE_S * 1.5)
    assert [job] == [delivery.job for delivery in await worker.reclaim(limit=4)]

    monkeypatch.setattr(worker._lanes, "take", AsyncMock(return_value=[row]))

    assert await worker.lease(single=1, batch=0, wait_s=1) == []


@pytest.mark.parametrize("batch", [None, "b"])
async def test_a_job_whose_result_cannot_be_recorded_is_leased_again(redis_rig, make_job, result_of, batch):
    worker = redis_rig.worker("a")
    await redis_rig.submitter.submit(job := make_job(batch=batch))
    [delivery] = await worker.lease(single=1, batch=0, wait_s=1)
    with pytest.raises(WireError):
        await worker.finish(delivery, result_of(job, stdout="\ud800"))
    await redis_rig.pass_time(RIG_LEASE_S * 1.5)

    assert [(job, 2)] == [(again.job, again.attempt) for again in await worker.reclaim(limit=1)]


async def test_a_job_over_its_deadline_is_found_behind_any_number_that_are_not(
    redis_rig, valkey, make_job, monkeypatch
):
    """Only as many as a worker had slots free for were looked at: four that wait for days hid all others."""
    worker = redis_rig.worker("a")
    valkey.client.sadd("{contract}:environments", "gone")
    monkeypatch.setattr(redis_unserved, "_READ_COUNT", 2)
    times = [86_400, 86_400, 86_400, -1, 86_400, -2]
    jobs = [make_job(lane=Lane.BATCH, environment="gone", deadline_at=time.time() + left_s) for left_s in times]
    for job in jobs:
        await redis_rig.submitter.submit(job)

    over = []
    for _ in range(8):
        await redis_rig.pass_time(RIG_LEASE_S / 2)
        over += await worker.reclaim(limit=1)

    assert sorted(delivery.job.id for delivery in over) == sorted([jobs[3].id, jobs[5].id])
    valkey.client.delete("{contract}:lane:batch:gone", "{contract}:environments")


async def test_a_server_that_is_nearly_full_takes_nothing_new(redis_rig, valkey, make_job, result_of):
    """10,000 jobs of 8 MB each were within the bound of a lane: the memory is one as well."""
    worker, mib = redis_rig.worker("a"), 1 << 20
    valkey.client.config_set("maxmemory", valkey.client.info("memory")["used_memory"] + 12 * mib)
    submitter = RedisSubmitter(redis_rig.connections, BrokerSettings(prefix="contract"))
    accepted = []
    try:
        with suppress(BrokerFull):
            while len(accepted) < 12:
                await submitter.submit(job := make_job(stdin="x" * mib, keep_result=True))
                accepted.append(job)
                await asyncio.sleep(0.3)  # until it looks again
        assert await submitter.submit(accepted[0]) is Submission.DUPLICATE  # a retry does not hear of it
        left = valkey.client.config_get("maxmemory")["maxmemory"]
        assert valkey.client.info("memory")["used_memory"] < int(left), "room for what is on its way"
        for job in accepted:
            assert await run_one(worker, job, result_of(job)) is Finish.RECORDED
        await asyncio.sleep(0.3)
        assert await submitter.submit(make_job()) is Submission.ACCEPTED
    finally:
        valkey.client.config_set("maxmemory", 0)

    assert 2 < len(accepted) < 12
    assert [await submitter.result(job.id) for job in accepted] == [result_of(job) for job in accepted]


async def test_on_a_full_server_workers_are_seen_hear_of_cancels_and_give_back(redis_rig, valkey, make_job, result_of):
    worker = redis_rig.worker("a")
    await redis_rig.submitter.submit(make_job())
    await redis_rig.submitter.submit(poison := make_job())
    deliveries = await worker.lease(single=2, batch=0, wait_s=1)
    feed = worker.cancellations()
    heard = asyncio.create_task(anext(feed))
    valkey.client.config_set("maxmemory", 1)
    try:
        await worker.announce(info := WorkerInfo(id="a", slots=1, environments=("default",), started_at=0.0))
        await redis_rig.submitter.cancel("somebody")
        await worker.release(deliveries[0])
        finish = await worker.dead_letter(deliveries[1], result_of(poison))
        assert (await redis_rig.submitter.workers(), await asyncio.wait_for(heard, 5)) == ([info], "somebody")
    finally:
        valkey.client.config_set("maxmemory", 0)
        await feed.aclose()

    assert finish is Finish.RECORDED
    assert len(await redis_rig.dead()) == 1
    assert [one.attempt for one in await worker.lease(single=2, batch=0, wait_s=1)] == [1]


async def test_what_nobody_can_decode_is_dead_lettered_and_stops_nobody(redis_rig, valkey, make_job):
    worker = redis_rig.worker("a")
    newer = wire.encode(make_job()).replace(b"\x92\x01", b"\x92\x02", 1)
    for fields in ({"job": b"\xc1", "attempt": 0}, {"job": newer, "attempt": 0}, {"hello": "world"}):
        valkey.client.xadd(SINGLE, fields)
    await redis_rig.submitter.submit(job := make_job())

    deliveries = []
    while not deliveries:
        deliveries = await worker.lease(single=2, batch=2, wait_s=1)

    assert [job] == [delivery.job for delivery in deliveries]
    assert await redis_rig.submitter.depth(Lane.SINGLE) == 1
    dead = [fields for _, fields in valkey.client.xrange("{contract}:dead")]
    assert [newer] == [fields[b"job"] for fields in dead if b"version 2" in fields[b"reason"]]
    assert len(dead) == 3


async def test_a_dead_lettered_job_can_be_read_back(redis_rig, valkey, make_job, result_of):
    worker = redis_rig.worker("a")
    await redis_rig.submitter.submit(job := make_job(lane=Lane.BATCH))
    [delivery] = await worker.lease(single=1, batch=1, wait_s=1)

    await worker.dead_letter(delivery, result_of(job, message="3 workers died"))

    [(_, fields)] = valkey.client.xrange("{contract}:dead")
    assert wire.decode_job(fields.pop(b"job")) == job
    assert fields == {
        b"id": job.id.encode(),
        b"lane": b"batch",
        b"reason": b"3 workers died",
        b"attempt": b"0",
    }


async def test_an_entry_deleted_by_an_operator_is_not_reclaimed_for_ever(redis_rig, valkey, make_job):
    await redis_rig.submitter.submit(make_job())
    [delivery] = await redis_rig.worker("a").lease(single=1, batch=1, wait_s=1)
    valkey.client.xdel(SINGLE, delivery.entry_id)
    await redis_rig.pass_time(LEASE_S + 0.05)

    assert await redis_rig.worker("b").reclaim(limit=8) == []
    assert valkey.client.xpending(SINGLE, "workers")["pending"] == 0


async def test_only_gone_workers_that_hold_nothing_are_forgotten(redis_rig, valkey, make_job, monkeypatch):
    monkeypatch.setattr(redis_unserved, "_SWEEP_EVERY_S", 0.0)
    monkeypatch.setattr(redis_unserved, "_GONE_MS", 20)
    await redis_rig.submitter.submit(make_job())
    for name in ("holds", "idle"):
        await redis_rig.worker(name).lease(single=1, batch=1, wait_s=0.01)
    await redis_rig.pass_time(0.05)

    await redis_rig.worker("sweeper").reclaim(limit=0)

    assert [consumer["name"] for consumer in valkey.client.xinfo_consumers(SINGLE, "workers")] == [b"holds"]
    assert valkey.client.xpending(SINGLE, "workers")["pending"] == 1


async def test_a_notice_that_nobody_can_read_hides_no_other_worker(redis_rig, valkey):
    info = WorkerInfo(id="known", slots=2, environments=("default",), started_at=1.0)
    for name in ("newer", "known"):
        await redis_rig.worker(name).announce(info)
    valkey.client.set("{contract}:worker:newer", b'{"id": ' + b"[" * 100_000, ex=5)

    assert await redis_rig.submitter.workers() == [info]


async def test_an_inbox_does_not_grow_with_what_it_has_read(redis_rig, valkey, make_job, result_of):
    worker = redis_rig.worker("a")
    async with redis_rig.inbox() as inbox:
        for _ in range(200):
            job = make_job(reply_to=inbox.id)
            future = inbox.expect(job.id)
            await redis_rig.submitter.submit(job)
            await run_one(worker, job, result_of(job))
            await asyncio.wait_for(future, 20)

        assert valkey.client.xlen(f"{{contract}}:inbox:{inbox.id}") <= 64
        assert inbox.late_replies == 0


async def test_a_saturating_batch_does_not_delay_single_jobs(redis_rig, make_job):
    """However the worker found its last job, the next single job is in its next lease."""
    worker = redis_rig.worker("a")
    waiting = asyncio.create_task(worker.lease(single=1, batch=1, wait_s=2))
    await asyncio.sleep(0.05)
    for _ in range(8):
        await redis_rig.submitter.submit(make_job(lane=Lane.BATCH))
    await waiting

    for _ in range(3):
        await redis_rig.submitter.submit(job := make_job())
        assert job in [delivery.job for delivery in await worker.lease(single=1, batch=1, wait_s=2)]


async def test_output_never_pushes_a_reply_out_of_an_inbox(redis_rig, valkey, make_job, printed, monkeypatch):
    """Whoever does not keep up gets no more output; the result has all of it anyway."""
    monkeypatch.setattr(keys, "INBOX_OUTPUT_LENGTH", 5)
    worker = redis_rig.worker("a")
    await redis_rig.submitter.submit(make_job(reply_to="slow", stream=True))
    [delivery] = await worker.lease(single=1, batch=1, wait_s=1)

    for _ in range(8):
        await worker.emit(delivery, printed("x"))

    assert valkey.client.xlen("{contract}:inbox:slow") == 5


async def test_output_that_nobody_can_decode_stops_nobody(redis_rig, valkey, make_job, result_of, printed):
    worker, heard = redis_rig.worker("a"), []
    async with redis_rig.inbox() as inbox:
        job = make_job(reply_to=inbox.id, stream=True)
        future = inbox.follow(job.id, heard.append)
        await redis_rig.submitter.submit(job)
        valkey.client.xadd(f"{{contract}}:inbox:{inbox.id}", {"id": job.id, "output": b"\xc1"})
        [delivery] = await worker.lease(single=1, batch=1, wait_s=1)
        await worker.emit(delivery, printed("x"))

        await worker.finish(delivery, result_of(job))

        assert result_of(job) == await asyncio.wait_for(future, 20)
        assert [printed("x")] == heard


async def test_a_finish_that_failed_may_be_tried_again_for_longer_than_a_lease(
    redis_rig, make_job, result_of, monkeypatch
):
    worker = redis_rig.worker("a")
    job = make_job(keep_result=True)
    await redis_rig.submitter.submit(job)
    [delivery] = await worker.lease(single=1, batch=1, wait_s=1)
    with monkeypatch.context() as away:
        away.setattr(worker._scripts, "finish", AsyncMock(side_effect=RedisConnectionError))
        with pytest.raises(BrokerUnavailable):
            await worker.finish(delivery, result_of(job))
    await asyncio.sleep(LEASE_S * 1.1)

    assert list(await worker.reclaim(limit=1)) == []
    assert await worker.finish(delivery, result_of(job)) is Finish.RECORDED


async def test_lanes_that_nobody_serves_any_more_are_dropped_once_they_are_empty(redis_rig, make_job, monkeypatch):
    monkeypatch.setattr(redis_unserved, "_SWEEP_EVERY_S", 0)
    worker, redis = redis_rig.worker("a"), redis_rig.connections.commands
    for name in ("gone", "held", "served"):
        await worker.announce(WorkerInfo(id=name, slots=1, environments=(name,), started_at=0.0))
        await redis_rig.submitter.submit(make_job(id=f"of-{name}", environment=name))
    worker.serve(["gone", "served"])
    for delivery in await worker.lease(single=9, batch=0, wait_s=0):
        await worker.dead_letter(delivery, JobResult(job_id=delivery.job.id, status=Status.INTERNAL))
    worker.serve(["default"])
    await redis.delete("{contract}:worker:gone", "{contract}:worker:held")

    await worker.reclaim(limit=1)

    assert await redis.smembers("{contract}:environments") == {b"held", b"served"}
    assert not await redis.exists("{contract}:lane:single:gone")
    assert await redis.xlen("{contract}:lane:single:held") == 1


async def test_a_job_in_the_lane_of_another_environment_is_parked(redis_rig, make_job):
    worker = redis_rig.worker("a")
    job = make_job(environment="node")
    await redis_rig.connections.commands.xadd(SINGLE, {"job": wire.encode(job), "attempt": 0})

    assert await worker.lease(single=1, batch=0, wait_s=0) == []
    assert [reason for _, reason in await redis_rig.dead()] == ["in the lane of another environment"]
