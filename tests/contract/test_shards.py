"""What a broker over several Redis has to promise beyond what every broker does."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from itertools import count

import pytest
from link import Link

from jobs.connect import connect, split_urls
from jobs.errors import BrokerUnavailable
from jobs.model import Finish, Lane, WorkerInfo
from jobs.shards import close_all, home
from jobs.spread import PATIENCE_S

SINGLE, BATCH = "{contract}:lane:single:default", "{contract}:lane:batch:default"


@pytest.fixture
def on(make_job):
    """Make a job that lives on the shard with this number, of two."""
    numbers = count()

    def make(shard, **fields):
        return make_job(id=next(name for n in numbers if home(name := f"on-{n}", 2) == shard), **fields)

    return make


@pytest.fixture
async def mortal_rig(valkey, mortal_valkey, shards_rig):
    """A rig whose second server may be killed."""
    valkey.client.flushall()
    opened = [connect(valkey.url), connect(mortal_valkey.url)]
    yield type(shards_rig)(*opened)
    await close_all(opened)


def ids(deliveries):
    return [delivery.job.id for delivery in deliveries]


def test_the_shard_of_an_id_never_changes():
    """Whoever changes these figures loses every stored result."""
    assert [home(f"job-{number}", 3) for number in range(8)] == [1, 0, 1, 0, 2, 2, 2, 0]


@pytest.mark.parametrize("shards", [1, 2, 5])
def test_a_new_shard_takes_its_share_and_moves_no_other(shards):
    keys = [f"job-{number}" for number in range(3000)]
    before, after = ([home(key, number) for key in keys] for number in (shards, shards + 1))
    moved = {new for old, new in zip(before, after, strict=True) if old != new}

    assert moved == {shards}
    assert after.count(shards) == pytest.approx(len(keys) / (shards + 1), rel=0.2)


@pytest.mark.parametrize("text", ["redis://a,http://b", "redis://a,", "", "redis://u:p@a/0,redis://a/0"])
def test_a_list_of_urls_with_a_fault_is_refused_without_telling_secrets(text):
    with pytest.raises(ValueError, match=r"must start with|twice") as told:
        split_urls(text)
    assert "u:p" not in str(told.value)


async def test_no_shard_starves_while_another_is_saturated(shards_rig, on):
    for _ in range(4):
        await shards_rig.submitter.submit(on(0))
    for _ in range(2):
        await shards_rig.submitter.submit(on(1))
    worker = shards_rig.worker("a")

    leased = [(await worker.lease(single=1, batch=0, wait_s=0))[0].shard for _ in range(4)]

    assert sorted(leased) == [0, 0, 1, 1]


async def test_single_jobs_of_every_shard_go_before_batch_jobs_of_any(shards_rig, on):
    for shard in (0, 1):
        for _ in range(3):
            await shards_rig.submitter.submit(on(shard, lane=Lane.BATCH))
        await shards_rig.submitter.submit(on(shard))

    for _ in range(2):
        leased = await shards_rig.worker("a").lease(single=1, batch=1, wait_s=0)
        assert [delivery.lane for delivery in leased] == [Lane.SINGLE]


async def test_entries_of_one_id_on_two_shards_are_told_apart(shards_rig, on, result_of, valkey, second_valkey):
    """Entry ids are times: under load both servers give the same."""
    jobs = [on(0, keep_result=True), on(1, keep_result=True)]
    for job, server in zip(jobs, (valkey, second_valkey), strict=True):
        await shards_rig.submitter.submit(job)
        [(_, fields)] = server.client.xrange(SINGLE)
        server.client.xtrim(SINGLE, maxlen=0)
        server.client.xadd(SINGLE, fields, id=f"{int(time.time()) * 1000 + 60_000}-0")
    worker = shards_rig.worker("a")

    leased = await worker.lease(single=4, batch=0, wait_s=0)

    assert len({delivery.entry_id for delivery in leased}) == 1
    assert len({delivery.key for delivery in leased}) == 2
    assert await worker.renew(leased) == []
    for delivery in leased:
        assert await worker.finish(delivery, result_of(delivery.job)) is Finish.RECORDED
    assert [result_of(job) for job in jobs] == [await shards_rig.submitter.result(job.id) for job in jobs]


async def test_waits_on_several_shards_lose_nothing_and_lease_no_more_than_they_may(
    shards_rig, make_job, result_of, valkey, second_valkey
):
    """Jobs trickle in so that most come while a worker waits, often on both shards and in both lanes at once."""
    workers = {name: shards_rig.worker(name) for name in ("a", "b")}
    leased: list[str] = []
    most = 0

    async def work(worker):
        nonlocal most
        while len(leased) < 400:
            found = await worker.lease(single=1, batch=1, wait_s=0.2)
            most = max(most, len(found))
            leased.extend(ids(found))
            for delivery in found:
                await worker.finish(delivery, result_of(delivery.job))

    working = [asyncio.create_task(work(worker)) for worker in workers.values()]
    for number in range(0, 400, 4):
        jobs = [make_job(lane=Lane.BATCH if n % 3 == 0 else Lane.SINGLE) for n in range(number, number + 4)]
        while max([await shards_rig.submitter.depth(lane) for lane in Lane]) > 4:  # noqa: ASYNC110 (the lanes tell)
            await asyncio.sleep(0.001)
        await asyncio.gather(*map(shards_rig.submitter.submit, jobs))
        await asyncio.sleep(0.002)
    await asyncio.wait_for(asyncio.gather(*working), 10)

    assert len(leased) == len(set(leased)) == 400
    assert most <= 4, "one per lane and shard"
    assert [server.client.xlen(lane) for server in (valkey, second_valkey) for lane in (SINGLE, BATCH)] == [0] * 4


async def test_a_wait_ends_for_every_shard_at_once(shards_rig, on):
    """No blocking read is left behind to take a job that nobody would start."""
    first, second = shards_rig.worker("first"), shards_rig.worker("second")
    wait = asyncio.create_task(first.lease(single=1, batch=1, wait_s=5))
    await asyncio.sleep(0.05)
    await shards_rig.submitter.submit(here := on(0))
    assert [here.id] == ids(await wait)

    await shards_rig.submitter.submit(there := on(1))

    assert [there.id] == ids(await second.lease(single=1, batch=1, wait_s=1))


async def test_a_dead_shard_stops_nobody_else_and_comes_back(mortal_rig, mortal_valkey, on, result_of):
    worker, info = mortal_rig.worker("a"), WorkerInfo(id="a", slots=1, environments=("default",), started_at=0.0)
    async with mortal_rig.inbox() as inbox:
        leased = on(1, reply_to=inbox.id)
        future = inbox.expect(leased.id)
        await mortal_rig.submitter.submit(leased)
        [held] = await worker.lease(single=1, batch=1, wait_s=1)
        await mortal_rig.submitter.submit(queued := on(1))
        mortal_valkey.kill()
        took = []
        for _ in range(20):
            job = on(0, reply_to=inbox.id)
            answer = inbox.expect(job.id)
            began = time.monotonic()
            await mortal_rig.submitter.submit(job)
            [delivery] = await worker.lease(single=1, batch=1, wait_s=1)
            assert await worker.renew([delivery, held]) == []
            await worker.finish(delivery, result_of(job))
            assert await asyncio.wait_for(answer, 20) == result_of(job)
            took.append(time.monotonic() - began)
        await worker.announce(info)

        assert sorted(took)[10] < PATIENCE_S, "only the first ones wait for the dead"
        assert [info] == await mortal_rig.submitter.workers()
        assert await mortal_rig.submitter.unreachable() == ["Redis 2 of 2"]
        assert (await mortal_rig.submitter.lane_stats())[Lane.SINGLE].running == 0
        with pytest.raises(BrokerUnavailable):
            await mortal_rig.submitter.submit(on(1))

        mortal_valkey.start()

        assert await worker.finish(held, result_of(leased)) is Finish.RECORDED
        assert await asyncio.wait_for(future, 20) == result_of(leased)
        deadline = time.monotonic() + 20
        while not (found := await worker.lease(single=1, batch=1, wait_s=0.2)):
            assert time.monotonic() < deadline
        assert ids(found) == [queued.id]
        while await mortal_rig.submitter.unreachable():
            assert time.monotonic() < deadline + 5
            await asyncio.sleep(0.1)


async def test_what_a_stalled_server_hands_out_too_late_is_given_back(mortal_rig, mortal_valkey, on):
    """A server that stops answering for a while may have leased to a reader that nobody waits for any more."""
    await mortal_rig.submitter.submit(job := on(1))
    slow, quick = mortal_rig.worker("slow"), mortal_rig.worker("quick")
    os.kill(mortal_valkey.process.pid, signal.SIGSTOP)
    assert await slow.lease(single=1, batch=1, wait_s=0.1) == []
    os.kill(mortal_valkey.process.pid, signal.SIGCONT)

    deadline = time.monotonic() + 20
    while not (found := await quick.lease(single=1, batch=1, wait_s=0.1)):
        assert time.monotonic() < deadline
    assert [(delivery.job.id, delivery.attempt) for delivery in found] == [(job.id, 1)]


async def test_what_is_long_on_its_way_is_leased_in_the_end(valkey, second_valkey, shards_rig, on):
    """It came when nobody waited for it any more, and was given back: again and again."""
    async with Link(second_valkey.socket) as link:
        opened = [connect(valkey.url), connect(link.url)]
        rig = type(shards_rig)(*opened)
        worker = rig.worker("a")
        await worker.lease(single=1, batch=1, wait_s=0.1)
        await shards_rig.submitter.submit(job := on(1, files={"f": bytes(2 << 20)}))
        link.pause_s = 3 * PATIENCE_S / 32

        found = []
        while not found:
            found = await worker.lease(single=1, batch=1, wait_s=0.2)
            await asyncio.sleep(0.05)

        assert ids(found) == [job.id]
        await close_all(opened)


async def test_no_shard_at_all_is_broker_unavailable(shards_rig, tmp_path):
    opened = [connect(f"unix://{tmp_path}/{name}") for name in ("one", "two")]
    rig = type(shards_rig)(*opened)
    worker = rig.worker("a")

    for call in (rig.submitter.unreachable(), rig.submitter.workers(), worker.lease(single=1, batch=1, wait_s=0.1)):
        with pytest.raises(BrokerUnavailable):
            await call
    await close_all(opened)
