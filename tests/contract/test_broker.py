"""What every broker promises."""

from __future__ import annotations

import asyncio
import time

import pytest

from jobs.errors import LaneFull
from jobs.model import Finish, JobState, Lane, SharedPart, Status, Submission, WorkerInfo

LEASE_S = 1.0


def lease(worker, *, single=8, batch=8, wait_s=0.0):
    return worker.lease(single=single, batch=batch, wait_s=wait_s)


def ids(deliveries):
    return [delivery.job.id for delivery in deliveries]


async def test_a_job_is_leased_once_and_its_result_reaches_the_inbox(rig, make_job, result_of):
    async with rig.inbox() as inbox:
        job = make_job(reply_to=inbox.id)
        future = inbox.expect(job.id)

        assert await rig.submitter.submit(job) is Submission.ACCEPTED

        [delivery] = await lease(rig.worker("a"), wait_s=1)
        assert (job, Lane.SINGLE, 1) == (delivery.job, delivery.lane, delivery.attempt)
        assert await lease(rig.worker("b")) == []
        assert await rig.worker("a").finish(delivery, result_of(job)) is Finish.RECORDED
        assert result_of(job) == await asyncio.wait_for(future, 20)
        assert await rig.submitter.depth(Lane.SINGLE) == 0


async def test_a_job_submitted_again_is_not_added_again(rig, make_job):
    job = make_job()
    await rig.submitter.submit(job)

    assert await rig.submitter.submit(job) is Submission.DUPLICATE
    assert await rig.submitter.depth(Lane.SINGLE) == 1


async def test_a_full_lane_refuses_new_jobs_but_knows_those_it_has(rig, neighbour):
    jobs = [neighbour() for _ in range(4)]
    for job in jobs:
        await rig.submitter.submit(job)

    with pytest.raises(LaneFull) as full:
        await rig.submitter.submit(refused := neighbour())
    assert (full.value.lane, full.value.depth, full.value.bound) == ("single", 4, 4)
    assert await rig.submitter.submit(jobs[0]) is Submission.DUPLICATE
    assert await rig.submitter.submit(neighbour(lane=Lane.BATCH)) is Submission.ACCEPTED
    with pytest.raises(LaneFull):  # and not "duplicate": a refused job left no record
        await rig.submitter.submit(refused)


async def test_running_jobs_count_towards_the_bound(rig, neighbour):
    for _ in range(4):
        await rig.submitter.submit(neighbour())
    await lease(rig.worker("a"))

    with pytest.raises(LaneFull):
        await rig.submitter.submit(neighbour())


async def test_an_expired_lease_goes_to_another_worker_as_the_next_attempt(rig, make_job):
    job = make_job(lane=Lane.BATCH)
    await rig.submitter.submit(job)
    await lease(rig.worker("dead"), wait_s=1)
    alive = rig.worker("alive")
    assert await alive.reclaim(limit=8) == []

    await rig.pass_time(LEASE_S + 0.05)

    [taken] = await alive.reclaim(limit=8)
    assert (job, Lane.BATCH, 2) == (taken.job, taken.lane, taken.attempt)
    assert await alive.reclaim(limit=8) == []


async def test_a_renewed_lease_is_kept(rig, make_job):
    await rig.submitter.submit(make_job())
    owner = rig.worker("owner")
    deliveries = await lease(owner)
    for _ in range(3):
        await rig.pass_time(LEASE_S / 2)
        assert await owner.renew(deliveries) == []

    assert await rig.worker("other").reclaim(limit=8) == []


async def test_renew_names_the_leases_that_were_lost(rig, make_job):
    await rig.submitter.submit(make_job())
    await rig.submitter.submit(make_job(lane=Lane.BATCH))
    owner = rig.worker("owner")
    deliveries = await lease(owner)
    await rig.pass_time(LEASE_S + 0.05)
    [taken] = await rig.worker("other").reclaim(limit=1)

    assert [taken.job.id] == ids(await owner.renew(deliveries))


async def test_a_worker_does_not_reclaim_what_it_still_runs(rig, make_job):
    await rig.submitter.submit(make_job())
    owner = rig.worker("owner")
    [delivery] = await lease(owner)
    await rig.pass_time(LEASE_S + 0.05)

    assert await owner.reclaim(limit=8) == []
    assert await owner.renew([delivery]) == []


async def test_a_result_of_a_former_owner_is_dropped(rig, make_job, result_of):
    job = make_job(keep_result=True)
    await rig.submitter.submit(job)
    slow, quick = rig.worker("slow"), rig.worker("quick")
    [first] = await lease(slow)
    await rig.pass_time(LEASE_S + 0.05)
    [second] = await quick.reclaim(limit=1)

    assert await slow.finish(first, result_of(job, stdout="late")) is Finish.STALE
    assert await rig.submitter.state(job.id) is JobState.QUEUED
    assert await quick.finish(second, result_of(job, attempt=2)) is Finish.RECORDED
    assert await quick.finish(second, result_of(job, stdout="twice")) is Finish.STALE
    assert await rig.submitter.result(job.id) == result_of(job, attempt=2)


async def test_a_former_owner_cannot_release_the_job(rig, make_job):
    await rig.submitter.submit(make_job())
    slow, quick = rig.worker("slow"), rig.worker("quick")
    [first] = await lease(slow)
    await rig.pass_time(LEASE_S + 0.05)
    [second] = await quick.reclaim(limit=1)

    await slow.release(first)

    assert await quick.renew([second]) == []
    assert await lease(slow) == []


async def test_a_released_job_is_available_at_once_and_the_attempt_does_not_count(rig, make_job):
    job = make_job()
    await rig.submitter.submit(job)
    first, second = rig.worker("first"), rig.worker("second")
    [delivery] = await lease(first)
    await first.release(delivery)
    [again] = await lease(second)
    assert (job.id, 1) == (again.job.id, again.attempt)

    await rig.pass_time(LEASE_S + 0.05)
    [reclaimed] = await first.reclaim(limit=1)
    await first.release(reclaimed)

    assert [delivery.attempt for delivery in await lease(second)] == [2]


async def test_a_waiting_worker_gets_a_released_job(rig, make_job):
    await rig.submitter.submit(make_job())
    leaving, waiting = rig.worker("leaving"), rig.worker("waiting")
    [delivery] = await lease(leaving)
    wait = asyncio.create_task(lease(waiting, wait_s=2))
    await asyncio.sleep(0.05)

    await leaving.release(delivery)

    assert [delivery.job.id] == ids(await wait)


async def test_a_job_that_kills_its_workers_is_dead_lettered_and_its_caller_told(rig, make_job, result_of):
    async with rig.inbox() as inbox:
        job = make_job(reply_to=inbox.id)
        future = inbox.expect(job.id)
        await rig.submitter.submit(job)
        await lease(rig.worker("w1"))
        for attempt in (2, 3, 4):
            await rig.pass_time(LEASE_S + 0.05)
            [delivery] = await rig.worker(f"w{attempt}").reclaim(limit=1)
            assert attempt == delivery.attempt

        verdict = result_of(job, status=Status.INTERNAL, message="3 workers died")
        assert await rig.worker("w4").dead_letter(delivery, verdict) is Finish.RECORDED
        assert await rig.worker("w4").dead_letter(delivery, verdict) is Finish.STALE

        assert verdict == await asyncio.wait_for(future, 20)
        assert [(job.id, "3 workers died")] == await rig.dead()
        assert await rig.submitter.dead_letters() == 1
        assert await rig.submitter.depth(Lane.SINGLE) == 0


async def test_single_jobs_go_before_batch_jobs(rig, neighbour):
    batch = [neighbour(lane=Lane.BATCH) for _ in range(3)]
    single = [neighbour() for _ in range(2)]
    for job in batch + single:
        await rig.submitter.submit(job)

    leased = await lease(rig.worker("a"), single=4, batch=3)

    assert [job.id for job in [*single, *batch[:2]]] == ids(leased)


async def test_no_more_batch_jobs_are_leased_than_asked_for(rig, neighbour):
    batch = [neighbour(lane=Lane.BATCH) for _ in range(3)]
    for job in batch:
        await rig.submitter.submit(job)
    worker = rig.worker("a")

    assert [batch[0].id] == ids(await lease(worker, single=4, batch=1))
    assert await lease(worker, single=4, batch=0, wait_s=0.05) == []
    assert [batch[1].id, batch[2].id] == ids(await lease(worker, single=0, batch=2))


async def test_lease_waits_as_long_as_it_was_told_and_no_longer(rig):
    began = time.monotonic()
    assert await lease(rig.worker("a"), wait_s=0.2) == []
    assert 0.19 < time.monotonic() - began < 2

    began = time.monotonic()
    assert await lease(rig.worker("a")) == []
    assert time.monotonic() - began < 2


async def test_a_waiting_worker_is_woken_by_a_job_of_either_lane(rig, make_job):
    worker = rig.worker("a")
    for lane in Lane:
        wait = asyncio.create_task(lease(worker, wait_s=5))
        await asyncio.sleep(0.05)
        job = make_job(lane=lane)
        began = time.monotonic()
        await rig.submitter.submit(job)

        assert [job.id] == ids(await wait)
        assert time.monotonic() - began < 4


async def test_every_job_is_leased_by_exactly_one_of_many_workers(rig, make_job):
    workers = [rig.worker(f"w{number}") for number in range(4)]
    waits = [asyncio.create_task(lease(worker, single=1, batch=0, wait_s=1)) for worker in workers]
    await asyncio.sleep(0.05)
    jobs = [make_job() for _ in range(4)]
    for job in jobs:
        await rig.submitter.submit(job)

    leased = [job_id for wait in waits for job_id in ids(await wait)]

    assert sorted(job.id for job in jobs) == sorted(leased)


async def test_a_cancellation_reaches_every_worker_and_one_that_starts_a_little_later(rig):
    feeds = [rig.worker("a").cancellations(), rig.worker("b").cancellations()]
    waits = [asyncio.create_task(anext(feed)) for feed in feeds]
    await asyncio.sleep(0.05)
    await rig.submitter.cancel("job-1")
    late = rig.worker("late").cancellations()

    assert [await asyncio.wait_for(wait, 20) for wait in waits] == ["job-1", "job-1"]
    assert await asyncio.wait_for(anext(late), 20) == "job-1"
    await rig.submitter.cancel("job-2")
    assert [await asyncio.wait_for(anext(feed), 20) for feed in [*feeds, late]] == ["job-2"] * 3
    for feed in [*feeds, late]:
        await feed.aclose()


async def test_an_asynchronous_job_is_queued_then_done(rig, make_job, result_of):
    job = make_job(keep_result=True)
    assert await rig.submitter.state(job.id) is None
    await rig.submitter.submit(job)
    assert await rig.submitter.state(job.id) is JobState.QUEUED
    assert await rig.submitter.result(job.id) is None
    worker = rig.worker("a")
    [delivery] = await lease(worker)

    await worker.finish(delivery, result_of(job))

    assert await rig.submitter.state(job.id) is JobState.DONE
    assert await rig.submitter.result(job.id) == result_of(job)
    assert await rig.submitter.submit(job) is Submission.DUPLICATE


async def test_a_synchronous_job_leaves_no_result(rig, make_job, result_of):
    job = make_job()
    await rig.submitter.submit(job)
    assert await rig.submitter.state(job.id) is None
    worker = rig.worker("a")
    [delivery] = await lease(worker)

    await worker.finish(delivery, result_of(job))

    assert await rig.submitter.state(job.id) is None
    assert await rig.submitter.result(job.id) is None


async def test_a_watch_that_begins_before_the_finish_is_told(rig, make_job, result_of):
    job = make_job(keep_result=True)
    await rig.submitter.submit(job)
    worker = rig.worker("a")
    [delivery] = await lease(worker)
    async with rig.inbox() as here, rig.inbox() as there:
        watches = [await inbox.watch(job.id) for inbox in (here, here, there)]
        assert not any(watch.done() for watch in watches)

        await worker.finish(delivery, result_of(job))

        assert [result_of(job)] * 3 == [await asyncio.wait_for(watch, 20) for watch in watches]


async def test_a_watch_that_begins_after_the_finish_is_done_at_once(rig, make_job, result_of):
    job = make_job(keep_result=True)
    await rig.submitter.submit(job)
    worker = rig.worker("a")
    [delivery] = await lease(worker)
    await worker.finish(delivery, result_of(job))

    async with rig.inbox() as inbox:
        watch = await inbox.watch(job.id)
        assert watch.done()
        assert watch.result() == result_of(job)


async def test_a_caller_that_gave_up_is_forgotten_and_others_are_not(rig, make_job, result_of):
    async with rig.inbox() as inbox:
        gone, job = make_job(reply_to=inbox.id), make_job(reply_to=inbox.id)
        worker = rig.worker("a")
        inbox.expect(gone.id).cancel()
        one, other = inbox.expect(job.id), inbox.expect(job.id)
        one.cancel()
        for each in (gone, job):
            await rig.submitter.submit(each)

        for delivery in await lease(worker):
            await worker.finish(delivery, result_of(delivery.job))

        assert result_of(job) == await asyncio.wait_for(other, 20)
        assert inbox.late_replies == 1
        assert inbox._waiting == {}


async def test_closing_an_inbox_cancels_who_waits(rig):
    async with rig.inbox() as inbox:
        future = inbox.expect("job-1")

    assert future.cancelled()


async def test_workers_are_listed_while_they_announce_themselves(rig):
    infos = [WorkerInfo(id=name, slots=2, environments=("default",), started_at=time.time()) for name in ("b", "a")]
    assert await rig.submitter.workers() == []
    for info in infos:
        await rig.worker(info.id).announce(info)
    await rig.worker("a").announce(infos[1])

    assert [infos[1], infos[0]] == await rig.submitter.workers()


async def test_lane_stats_tell_waiting_from_running(rig, make_job):
    await rig.submitter.ping()
    empty = await rig.submitter.lane_stats()
    assert {lane: (stats.waiting, stats.running, stats.oldest_s) for lane, stats in empty.items()} == {
        Lane.SINGLE: (0, 0, 0),
        Lane.BATCH: (0, 0, 0),
    }
    for _ in range(3):
        await rig.submitter.submit(make_job())
    worker = rig.worker("a")
    await lease(worker, single=2, batch=0)
    await rig.pass_time(0.11)

    stats = (await worker.lane_stats())[Lane.SINGLE]

    assert (stats.waiting, stats.running) == (1, 2)
    assert 0.1 <= stats.oldest_s < 10


async def test_output_reaches_its_follower_in_order_and_before_the_result(rig, make_job, result_of, printed):
    async with rig.inbox() as inbox:
        job, heard = make_job(reply_to=inbox.id, stream=True), []
        future = inbox.follow(job.id, heard.append)
        heard_by_the_end = asyncio.create_task(_heard_when_done(future, heard))
        await rig.submitter.submit(job)
        worker = rig.worker("a")
        [delivery] = await lease(worker, wait_s=1)
        assert delivery.job.stream
        outputs = [printed(f"{number}\n", offset=2 * number) for number in range(9)]

        for output in outputs:
            await worker.emit(delivery, output)
        await worker.finish(delivery, result_of(job))

        assert outputs == await asyncio.wait_for(heard_by_the_end, 20)
        assert result_of(job) == future.result()
        assert inbox.follower(job.id) is None


async def _heard_when_done(future, heard):
    await future
    return list(heard)


async def test_output_tells_a_later_attempt_from_an_earlier(rig, make_job, printed):
    """A worker that lost its lease may still emit: owners are not asked, the attempt says which is void."""
    async with rig.inbox() as inbox:
        job, heard = make_job(reply_to=inbox.id, stream=True), asyncio.Queue()
        inbox.follow(job.id, heard.put_nowait)
        await rig.submitter.submit(job)
        slow, quick = rig.worker("slow"), rig.worker("quick")
        [first] = await lease(slow, wait_s=1)
        await rig.pass_time(LEASE_S + 0.05)
        [second] = await quick.reclaim(limit=1)

        for worker, delivery in ((slow, first), (quick, second), (slow, first)):
            await worker.emit(delivery, printed("x", attempt=delivery.attempt))

        assert [(await asyncio.wait_for(heard.get(), 20)).attempt for _ in range(3)] == [1, 2, 1]


async def test_output_that_nobody_follows_is_dropped(rig, make_job, result_of, printed):
    async with rig.inbox() as inbox:
        worker = rig.worker("a")
        gone, heard = make_job(reply_to=inbox.id, stream=True), []
        inbox.follow(gone.id, heard.append).cancel()
        await asyncio.sleep(0)  # a future tells who asked it to in the next turn of the loop
        waited = make_job(reply_to=inbox.id, stream=True)
        future = inbox.expect(waited.id)
        jobs = [gone, waited, make_job(reply_to="an inbox of the past", stream=True), make_job(keep_result=True)]
        for job in jobs:
            await rig.submitter.submit(job)

        for delivery in await lease(worker, wait_s=1):
            await worker.emit(delivery, printed("x"))
            await worker.finish(delivery, result_of(delivery.job))

        assert result_of(waited) == await asyncio.wait_for(future, 20)
        assert heard == []


async def test_a_shared_part_is_there_until_it_is_dropped(rig):
    part = SharedPart(code="print(1)", files={"a": b"\0"})
    await rig.submitter.share("p", part, ttl_s=60)

    assert await rig.worker("a").shared("p") == part
    await rig.submitter.unshare("p")
    assert await rig.worker("a").shared("p") is None
    await rig.submitter.unshare("p")


async def test_a_shared_part_expires(rig):
    await rig.submitter.share("p", SharedPart(code="1"), ttl_s=1)
    await rig.pass_time(1.1)

    assert await rig.worker("a").shared("p") is None
