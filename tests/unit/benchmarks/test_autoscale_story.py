"""Loads that come and go, and what is read out of a manifest."""

from __future__ import annotations

import pytest

from benchmarks.autoscale import manifest, story
from benchmarks.autoscale.__main__ import MANIFEST
from benchmarks.autoscale.hpa import Policy, Rules, Select, Unit
from benchmarks.autoscale.story import Phase
from benchmarks.samples import Sample


def test_arrivals_follow_the_rate():
    phases = [Phase(name="up", start=0, end=100, duration_s=10), Phase(name="on", start=100, end=100, duration_s=2)]

    offsets = story.arrivals(phases)

    assert offsets == sorted(offsets)
    assert [sum(at <= one < at + 1 for one in offsets) for at in (0, 5, 9, 10, 11)] == pytest.approx(
        [5, 55, 95, 100, 100], abs=1
    )


@pytest.mark.parametrize(
    ("counts", "times"), [([2, 2], 0), ([2, 4, 4, 8], 0), ([2, 4, 4, 3, 2], 1), ([2, 4, 3, 3, 4, 2], 3)]
)
def test_flapping_is_to_change_direction_more_than_once(counts, times):
    assert story.reversals(counts) == times


def test_the_table_charges_every_request_to_its_phase_and_counts_what_was_lost():
    phases = [Phase(name="a", start=2, end=2, duration_s=1), Phase(name="b", start=1, end=1, duration_s=2)]
    samples = [Sample(0.01, 200, "ok"), Sample(0.2, 200, "ok"), Sample(9, 503, "http_503"), Sample(0.1, 200, "ok")]

    first, second = story.table(phases, [0.0, 0.5, 1.0, 2.0], samples, [])

    assert (first.offered, first.answered, first.lost, first.p99_ms, first.in_target) == (2, 2, 0, 200, 0.5)
    assert (second.offered, second.answered, second.lost, second.in_target) == (1, 1, 1, 1)


def test_the_shipped_manifest_is_read_as_it_is():
    scaling = manifest.read(MANIFEST)

    assert {one.name for one in scaling.triggers} == {"wanted", "boost"}
    assert all(one.query.strip() in " ".join(MANIFEST.read_text().split()) for one in scaling.triggers)
    assert scaling.behaviour.least >= 2
    assert scaling.behaviour.down.window_s >= 60


def test_compressed_time_is_compressed_everywhere(tmp_path):
    file = tmp_path / "one.yaml"
    file.write_text(
        """
spec:
  minReplicaCount: 2
  maxReplicaCount: 9
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        scaleUp: {stabilizationWindowSeconds: 0, policies: [{type: Percent, value: 100, periodSeconds: 15}]}
        scaleDown:
          stabilizationWindowSeconds: 300
          selectPolicy: Min
          policies: [{type: Pods, value: 1, periodSeconds: 60}]
  triggers:
    - type: prometheus
      name: a
      metadata: {threshold: "1", query: "sum(rate(x[30s])) + avg_over_time(y[15s])"}
"""
    )

    fast = manifest.read(file).compressed(6).at_most(4)

    assert fast.triggers[0].query == "sum(rate(x[5000ms])) + avg_over_time(y[2500ms])"
    assert fast.behaviour.most == 4
    assert fast.behaviour.up.policies == [Policy(unit=Unit.PERCENT, value=100, period_s=2.5)]
    assert fast.behaviour.down == Rules(
        window_s=50, policies=[Policy(unit=Unit.PODS, value=1, period_s=10)], select=Select.MIN
    )


def test_what_the_demo_cannot_do_is_refused(tmp_path):
    file = tmp_path / "one.yaml"
    file.write_text(MANIFEST.read_text().replace("metricType: AverageValue", "metricType: Value"))

    with pytest.raises(manifest.ManifestError, match="wanted"):
        manifest.read(file)
