"""Percentiles and summaries say what they claim."""

import math

import pytest

from benchmarks.samples import Run, Sample, percentile, pooled, summarise


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        (range(1, 101), 0.50, 50),
        (range(1, 101), 0.99, 99),
        (range(1, 101), 1.0, 100),
        (range(1, 101), 0.0, 1),
        ([3, 1, 2], 0.50, 2),
        ([7], 0.99, 7),
        ([1, 2], 0.50, 1),
        ([1, 2], 0.51, 2),
    ],
)
def test_percentile_is_the_smallest_value_that_covers_the_share(values, share, expected):
    assert percentile(values, share) == expected


def test_percentile_of_nothing_is_nan_so_that_no_target_is_met_by_it():
    assert math.isnan(percentile([], 0.5))


def test_failures_count_as_errors_and_neither_as_latency_nor_as_throughput():
    run = Run(samples=[Sample(0.1, 200, "ok", warm=True), Sample(9.0, 500, "http_500")], elapsed_s=2.0)

    summary = summarise(run)

    assert (summary.count, summary.errors, summary.verdicts) == (2, 1, {"ok": 1, "http_500": 1})
    assert (summary.max_s, summary.rate, summary.warm) == (0.1, 0.5, 1.0)


def test_pooled_runs_keep_every_sample_and_all_the_time():
    run = Run(samples=[Sample(0.1, 200, "ok")], elapsed_s=2.0)

    assert pooled([run, run]) == Run(samples=[*run.samples, *run.samples], elapsed_s=4.0)
