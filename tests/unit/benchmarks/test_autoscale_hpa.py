"""The HPA's algorithm as Kubernetes documents it, case by case; times are seconds."""

from __future__ import annotations

import pytest

from benchmarks.autoscale.hpa import Autoscaler, Behaviour, Policy, Reading, Rules, Select, Unit

FAST = Rules(window_s=0, policies=[Policy(unit=Unit.PODS, value=100, period_s=1)])


def pods(value, period_s, **rules):
    return Rules(**({"window_s": 0, "policies": [Policy(unit=Unit.PODS, value=value, period_s=period_s)]} | rules))


def percent(value, period_s, **rules):
    return Rules(**({"window_s": 0, "policies": [Policy(unit=Unit.PERCENT, value=value, period_s=period_s)]} | rules))


def scaler(*, least=1, most=100, up=FAST, down=FAST):
    return Autoscaler(Behaviour(least=least, most=most, up=up, down=down))


def readings(*values):
    return [Reading(value=value, target=1) for value in values]


@pytest.mark.parametrize(
    ("replicas", "values", "decided"),
    [
        (4, [8], 8),
        (4, [4.39], 4),  # within the tolerance of 10 %
        (4, [4.5], 5),
        (4, [3.6], 4),
        (4, [3.5], 4),  # outside of it, and rounded up
        (4, [2.1], 3),
        (4, [2, 7], 7),  # the highest metric
        (4, [None], 4),
        (4, [2, None], 4),  # one is missing: not down
        (4, [9, None], 9),  # but up
        (4, [0], 1),
        (4, [1000], 100),
    ],
)
def test_the_highest_metric_outside_the_tolerance_counts(replicas, values, decided):
    assert scaler().decide(0, replicas, readings(*values)) == decided


@pytest.mark.parametrize(("replicas", "decided"), [(0, 2), (1, 2), (12, 9)])
def test_minimum_and_maximum_come_first(replicas, decided):
    assert scaler(least=2, most=9).decide(0, replicas, readings(5)) == decided


def walk(one, replicas, steps):
    """Decisions for (time, wanted) one after the other, each from the replicas of the one before."""
    decisions = []
    for now_s, wanted in steps:
        replicas = one.decide(now_s, replicas, readings(wanted))
        decisions.append(replicas)
    return decisions


def test_the_window_down_takes_the_highest_of_its_recommendations():
    one = scaler(down=pods(100, 1, window_s=60))

    assert walk(one, 10, [(0, 10), (30, 3), (59, 4), (61, 3), (95, 3), (120, 2)]) == [10, 10, 10, 4, 4, 3]


def test_the_window_up_takes_the_lowest_of_its_recommendations():
    one = scaler(up=pods(100, 1, window_s=60))

    assert walk(one, 2, [(0, 2), (30, 9), (59, 5), (61, 7), (95, 9), (125, 9)]) == [2, 2, 2, 5, 5, 9]


def test_a_policy_in_pods_limits_what_a_period_may_change():
    assert walk(scaler(up=pods(4, 15)), 2, [(0, 50), (5, 50), (15, 50), (20, 50)]) == [6, 6, 10, 10]
    assert walk(scaler(down=pods(1, 60)), 5, [(0, 1), (30, 1), (60, 1)]) == [4, 4, 3]


def test_a_policy_in_percent_goes_by_the_start_of_its_period():
    assert walk(scaler(up=percent(100, 15)), 3, [(0, 50), (5, 50), (15, 50)]) == [6, 6, 12]
    assert walk(scaler(down=percent(10, 60)), 19, [(0, 1), (30, 1), (60, 1)]) == [17, 17, 15]  # rounded towards less


def test_of_several_policies_the_chosen_one_counts():
    both = [Policy(unit=Unit.PODS, value=4, period_s=15), Policy(unit=Unit.PERCENT, value=100, period_s=15)]

    def up(select):
        return scaler(up=Rules(window_s=0, policies=both, select=select)).decide(0, 2, readings(50))

    def down(select):
        return scaler(down=Rules(window_s=0, policies=both, select=select)).decide(0, 10, readings(1))

    assert [up(select) for select in (Select.MAX, Select.MIN, Select.DISABLED)] == [6, 4, 2]
    assert [down(select) for select in (Select.MAX, Select.MIN, Select.DISABLED)] == [1, 6, 10]


def test_steps_up_count_against_steps_down_of_the_same_period():
    """4 up and then 2 down within a period: the period began with 4 less, and may end with 1 less than that."""
    one = scaler(up=pods(4, 60), down=pods(1, 60))

    assert walk(one, 4, [(0, 8), (10, 6), (20, 3)]) == [8, 6, 3]
