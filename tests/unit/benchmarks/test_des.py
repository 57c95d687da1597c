"""The simulation agrees with what queueing theory knows exactly."""

from __future__ import annotations

from statistics import fmean

import pytest

from benchmarks.des import TAKEOVER_S, Clock, Costs, Processors, Setup, Simulation, poisson

FREE = Costs(edge_s=[0.0], slot_s=[0.0])


def run(costs, arrivals, *, workers=1, slots=1, cores=1, **more):
    events = {name: more.pop(name) for name in ("lose", "lose_at_s") if name in more}
    setup = Setup(costs=costs, workers=workers, slots=slots, cores=cores, **more)
    return Simulation(setup).run(arrivals, **events)


def test_processors_are_shared_evenly_and_no_task_gets_two():
    clock, ended = Clock(), []
    cores = Processors(clock, 2)
    for name, demand_s in (("a", 1.0), ("b", 1.0), ("c", 2.0)):
        cores.work(demand_s, lambda name=name: ended.append((name, round(clock.now_s, 6))))
    clock.run()

    assert ended == [("a", 1.5), ("b", 1.5), ("c", 2.5)], "two thirds each, then a core of its own"


@pytest.mark.parametrize("full", [0.3, 0.7])
def test_one_server_with_random_arrivals_waits_as_long_as_theory_says(full):
    """M/D/1: Redis, one job after the other."""
    service_s = 0.001
    costs = Costs(edge_s=[0.0], slot_s=[0.0], redis_s=service_s)

    seen = run(costs, poisson(full / service_s, 60), slots=100)

    assert fmean(seen.latency_s) == pytest.approx(service_s * (1 + full / (2 * (1 - full))), rel=0.05)


def test_slots_with_random_arrivals_wait_as_long_as_theory_says():
    """M/D/2 at 80 %, by the exact mean of M/M/2 halved (within some percent of M/D/2)."""
    costs, full = Costs(edge_s=[0.0], slot_s=[0.0], nap_s=0.01), 0.8

    seen = run(costs, poisson(2 * full / 0.01, 100), slots=2)

    mean_wait_s = 0.01 * full**2 / (1 - full**2) / 2
    assert fmean(seen.latency_s) - 0.01 == pytest.approx(mean_wait_s, rel=0.1)


def test_a_run_is_the_same_each_time_and_another_with_another_seed():
    costs = Costs(edge_s=[0.001, 0.004], slot_s=[0.002, 0.003], behind_s=0.002)
    setup = Setup(costs=costs, workers=2, slots=2, cores=1)
    runs = [Simulation(setup, seed=seed).run(poisson(100, 5)).latency_s for seed in (1, 1, 2)]

    assert runs[0] == runs[1] != runs[2]


def test_more_shards_and_more_workers_help_where_they_are_short():
    busy = Costs(edge_s=[0.0], slot_s=[0.008], redis_s=0.0015)
    arrivals = poisson(600, 5)

    def mean(**more):
        return fmean(run(busy, arrivals, slots=4, cores=2, **more).latency_s)

    assert mean(workers=2, shards=1) > mean(workers=3, shards=1) > mean(workers=3, shards=2)


def test_jobs_of_dead_workers_are_taken_over_and_none_is_lost():
    costs, arrivals = Costs(edge_s=[0.0], slot_s=[0.0], nap_s=0.05), poisson(100, 4)

    seen = run(costs, arrivals, workers=6, slots=2, lose=2, lose_at_s=2.0)

    late = [latency for latency in seen.latency_s if latency > 1]
    assert len(seen.latency_s) == len(arrivals)
    assert 1 <= len(late) <= 4, "what their slots held"
    assert min(late) >= TAKEOVER_S
