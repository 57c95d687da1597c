"""The simulation gives again what was measured."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks import here
from benchmarks.here import Here, latest, reproduced


@pytest.fixture(scope="module")
def measured() -> Here:
    return Here.read(latest("scaling"), latest("calibration"))


def test_the_measured_points_are_reproduced_within_a_fifth(measured: Here) -> None:
    """p50 and p99 of 1, 2 and 4 workers, each at three utilisations of its slots."""
    rows = reproduced(measured, "waits")

    assert [(row["workers"], row["full"]) for row in rows] == [
        (workers, full) for workers in (1, 2, 4) for full in (0.3, 0.6, 0.8)
    ]
    assert all(abs(row[name]) <= here.OFF for row in rows for name in ("p50_off", "p99_off")), rows


def test_the_stored_points_were_measured_on_a_quiet_machine_and_lost_nothing(measured: Here) -> None:
    points = [*measured.calibration["waits"], *measured.calibration["computes"]]

    assert {point["lost"] for point in points} == {0}
    assert max(point["others"] for point in points) < 0.1
    assert max(point["ours"] for point in measured.calibration["waits"]) < 0.6


def test_the_waits_are_those_of_the_simulated_queue(measured: Here) -> None:
    """With slots enough nothing waits, and the fullest points of one and two workers are missed by over a fifth."""
    roomy = replace(measured, calibration={**measured.calibration, "slots": 8})

    fullest = [row for row in reproduced(roomy, "waits") if row["full"] == 0.8 and row["workers"] < 4]

    assert len(fullest) == 2
    assert all(row["p99_off"] < -here.OFF for row in fullest)


def test_a_schedule_is_the_same_each_time() -> None:
    once, again = here.schedule(24.5), here.schedule(24.5)

    assert once == again
    assert len(once.offsets_s) == len(once.naps_s) >= 150
    assert here.NAP_S[0] <= min(once.naps_s) <= max(once.naps_s) <= here.NAP_S[1]
