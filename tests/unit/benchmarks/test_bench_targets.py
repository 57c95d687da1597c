"""The judgement over figures: ratios where there is a baseline, and nothing unmeasured passes."""

import math

import pytest

from benchmarks import targets
from benchmarks.hostile import HOSTILE
from benchmarks.targets import Figure, Judgement


@pytest.mark.parametrize(
    ("name", "value", "baseline", "judgement"),
    [
        (targets.LATENCY, 2.5, 10.0, Judgement.PASS),
        (targets.LATENCY, 2.6, 10.0, Judgement.FAIL),
        (targets.THROUGHPUT, 300, 100, Judgement.PASS),
        (targets.THROUGHPUT, 299, 100, Judgement.FAIL),
        (targets.SCIENCE, 60, 600, Judgement.PASS),
        (targets.OPEN_P99, 100, None, Judgement.PASS),
        (targets.OPEN_P99, 101, None, Judgement.FAIL),
        (targets.OPEN_FAILURES, 0, None, Judgement.PASS),
        (targets.OPEN_FAILURES, 1, None, Judgement.FAIL),
        (targets.LATENCY, math.nan, 10.0, Judgement.FAIL),
        (targets.LATENCY, 2.5, math.nan, Judgement.FAIL),
        ("anything else", 1, 1, Judgement.STATED),
    ],
)
def test_a_figure_is_judged_by_its_target(name, value, baseline, judgement):
    assert Figure(name=name, value=value, unit="", baseline=baseline).judgement is judgement


def test_the_contract_figures_are_the_targets():
    assert {name: str(target) for name, target in targets.TARGETS.items()} == {
        targets.LATENCY: "≤ 0.25 (aim 0.12)",
        targets.THROUGHPUT: "≥ 3 (aim 5)",
        targets.OPEN_P99: "≤ 100",
        targets.OPEN_FAILURES: "≤ 0",
        targets.SCIENCE: "≤ 0.1",
        targets.FAILURES: "≤ 0",
        targets.BATCH_RATE: "≥ 0.9 (aim 1.2)",
        targets.JUDGE_SMALL: "≤ 1",
        targets.JUDGE_LARGE: "≤ 0.5",
        targets.UNDER_BATCH: "≤ 100",
        targets.UNDER_BATCH_FAILURES: "≤ 0",
        targets.IMAGE: "≤ 1.2",
        **dict.fromkeys(targets.SWITCHES.values(), "≤ 100"),
        targets.SWITCH_FAILURES: "≤ 0",
        targets.language_alone("bash"): "≤ 1.3",
        targets.language_alone("node"): "≤ 1.3 (aim 0.5)",
        targets.of_language("node"): "≤ 1.3",
        **dict.fromkeys(map(targets.beside, HOSTILE), "≤ 100"),
        targets.BESIDE_FAILURES: "≤ 0",
        **dict.fromkeys(map(targets.complaint, targets.COMPLAINTS), "≥ 1"),
    }
