"""Lanes per environment: who serves what, in turns, and what becomes of jobs that nobody serves any more."""

from __future__ import annotations

import time

from jobs import keys
from jobs.model import Finish, Lane, WorkerInfo

EVERYTHING = ("default", "node", "slim")


def notice(worker, *environments):
    return WorkerInfo(id=worker, slots=2, environments=environments, started_at=time.time())


async def leased(worker, *, single=9, batch=0):
    return [delivery.job.id for delivery in await worker.lease(single=single, batch=batch, wait_s=0)]


async def test_a_job_goes_to_a_worker_that_serves_its_environment_and_to_no_other(rig, make_job):
    other, right = rig.worker("a"), rig.worker("b")
    right.serve(["node", "default"])
    job = make_job(environment="node")
    await rig.submitter.submit(job)

    assert await leased(other) == []
    assert await leased(right) == [job.id]


async def test_what_is_served_changes_at_any_time(rig, make_job):
    worker, job = rig.worker("a"), make_job(environment="node")
    await rig.submitter.submit(job)
    assert await leased(worker) == []

    worker.serve(["node"])
    assert await leased(worker) == [job.id]


async def test_environments_take_turns(rig, make_job):
    """One that is flooded does not keep another waiting for longer than a round (on each of two Redis)."""
    worker = rig.worker("a")
    worker.serve(EVERYTHING)
    for number, name in enumerate(8 * ("default",) + ("node", "slim")):
        await rig.submitter.submit(make_job(id=f"{name}-{number}", environment=name, lane=Lane.BATCH))

    early = [(await leased(worker, single=0, batch=1))[0].partition("-")[0] for _ in range(6)]
    assert set(early) == set(EVERYTHING)


async def test_single_jobs_of_every_environment_go_before_batch_jobs_of_any(rig, make_job):
    worker = rig.worker("a")
    worker.serve(EVERYTHING)
    batch = make_job(environment="default", lane=Lane.BATCH)
    single = make_job(environment="slim")
    await rig.submitter.submit(batch)
    await rig.submitter.submit(single)

    assert await leased(worker, single=2, batch=2) == [single.id, batch.id]


async def test_a_bound_holds_for_all_environments_together_when_leasing(rig, make_job):
    worker = rig.worker("a")
    worker.serve(EVERYTHING)
    for name in EVERYTHING:
        await rig.submitter.submit(make_job(environment=name))

    assert len(await leased(worker, single=2, batch=2)) == 2


async def test_gauges_are_summed_over_environments(rig, make_job):
    worker = rig.worker("a")
    await worker.announce(notice("a", *EVERYTHING))
    for name in EVERYTHING:
        await rig.submitter.submit(make_job(environment=name))
    assert len(await leased(worker)) == 1

    stats = (await rig.submitter.lane_stats())[Lane.SINGLE]
    assert (stats.waiting, stats.running, await rig.submitter.depth(Lane.SINGLE)) == (2, 1, 3)


async def test_what_can_be_asked_for_is_what_live_workers_announce(rig):
    worker = rig.worker("a")
    assert set(await rig.submitter.environments()) == {"default"}

    await worker.announce(notice("a", "default", "node"))
    await worker.announce(notice("b", "slim"))
    assert set(await rig.submitter.environments()) == {"default", "node", "slim"}


async def test_a_job_whose_environment_nobody_serves_is_answered_when_its_deadline_has_passed(
    rig, make_job, result_of, monkeypatch
):
    """Not before: a worker that serves it may come back."""
    monkeypatch.setattr(keys, "WORKER_TTL_S", 1)
    worker = rig.worker("a")
    await worker.announce(notice("a", "default"))
    await worker.announce(notice("gone", "node"))
    late = make_job(environment="node", deadline_at=time.time() + 0.5)
    early = make_job(environment="node", deadline_at=time.time() + 60)
    await rig.submitter.submit(late)
    await rig.submitter.submit(early)

    await rig.pass_time(keys.WORKER_TTL_S + 0.2)
    await worker.announce(notice("a", "default"))
    found = await worker.reclaim(limit=9)

    assert [delivery.job.id for delivery in found] == [late.id]
    assert await worker.finish(found[0], result_of(late)) is Finish.RECORDED


async def test_a_job_whose_environment_was_forgotten_meanwhile_is_answered_too(rig, make_job, result_of):
    """Between the look at what is served and the submit, the lanes may have been swept. Nobody looked at them again."""
    worker, job = rig.worker("a"), make_job(environment="node", deadline_at=time.time() + 0.1)
    await worker.announce(notice("a", "default"))
    await rig.submitter.submit(job)

    await rig.pass_time(0.4)  # a lease, and more
    [found] = await worker.reclaim(limit=9)

    assert (found.job.id, (await rig.submitter.lane_stats())[Lane.SINGLE].running) == (job.id, 1)
    assert await worker.finish(found, result_of(job)) is Finish.RECORDED


async def test_a_worker_that_serves_nothing_takes_nothing(rig, make_job, result_of):
    worker = rig.worker("a")
    worker.serve([])
    job = make_job()
    await rig.submitter.submit(job)
    assert list(await worker.lease(single=2, batch=2, wait_s=0.05)) == []
    assert list(await worker.lease(single=2, batch=0, wait_s=0.05)) == []
    assert list(await worker.reclaim(limit=2)) == []

    worker.serve(["default"])
    [delivery] = await worker.lease(single=2, batch=2, wait_s=5)
    assert delivery.job == job
    assert await worker.finish(delivery, result_of(job)) is Finish.RECORDED


async def test_same_entry_ids_in_two_lanes_are_two_jobs(rig, make_job, result_of):
    """Redis makes an entry's id of the millisecond, so it is unique in one stream only."""
    worker = rig.worker("a")
    worker.serve(EVERYTHING)
    for name in EVERYTHING:
        await rig.submitter.submit(make_job(environment=name))
    deliveries = await worker.lease(single=9, batch=0, wait_s=0)

    assert len({delivery.key for delivery in deliveries}) == 3
    assert list(await worker.renew(deliveries)) == []
    assert [await worker.finish(one, result_of(one.job)) for one in deliveries] == 3 * [Finish.RECORDED]
