"""What the ScaledObject's queries answer, by promtool: the load that comes, whether it is worked off or piles up.

A worker is full with 72 evals per second here, and takes 1/72 of itself for one.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import yaml
from validators import DEPLOY

if TYPE_CHECKING:
    from pathlib import Path

    from validators import Tools

SCALED = yaml.safe_load((DEPLOY / "kubernetes/overlays/production/scaledobject-worker.yaml").read_text())
QUERIES = {one["name"]: one["metadata"]["query"] for one in SCALED["spec"]["triggers"]}
SCRAPE_S, MINUTES = 5, 10
FULL = 72


class Case(NamedTuple):
    """Per second of every worker: load, and evals finished. Depth of the lane, in the notation of promtool."""

    workers: int
    load: float
    finished: float
    depth: str
    wanted: int


STEPS = MINUTES * 60 // SCRAPE_S
CASES = {
    "two are a fifth full": Case(2, 0.2, 0.2 * FULL, f"0x{STEPS}", 1),
    "two are full, and nothing waits": Case(2, 1, FULL, f"0x{STEPS}", 4),
    "two are full, and 56 more come each second": Case(2, 1, FULL, f"0+{56 * SCRAPE_S}x{STEPS}", 5),
    "five are full, working off what waits": Case(5, 1, FULL, f"999999-{160 * SCRAPE_S}x{STEPS}", 5),
    "what waits is worked off faster than all that runs": Case(1, 0.1, 7, f"999999-{50 * SCRAPE_S}x{STEPS}", 0),
    "long programs, none has ended yet": Case(2, 1, 0, f"0x{STEPS}", 4),
    "long programs, and more of them wait": Case(2, 1, 0, f"0+1x{STEPS}", 65),
}


@pytest.mark.parametrize("name", CASES)
def test_the_workers_wanted_are_those_for_the_load_that_comes(tools: Tools, tmp_path: Path, name: str) -> None:
    case = CASES[name]
    series = {f'evalpool_lane_depth{{lane="single",pod="{api}"}}': case.depth for api in "ab"}
    for number in range(case.workers):
        series[f'evalpool_load_seconds_total{{pod="{number}"}}'] = f"0+{case.load * SCRAPE_S}x{STEPS}"
        series[f'evalpool_evals_finished_total{{pod="{number}"}}'] = f"0+{case.finished * SCRAPE_S}x{STEPS}"

    assert answers(tools, tmp_path, "wanted", series, case.wanted)


@pytest.mark.parametrize(
    ("oldest", "boost"),
    [
        pytest.param(f"0x{STEPS}", 0, id="nothing waits"),
        pytest.param(f"0x{STEPS - 30} 3x30", 0, id="for less than three minutes"),
        pytest.param(f"0.0625x{STEPS}", 3.75, id="always somebody, for five eighths of the target"),
        pytest.param(f"3x{STEPS}", 6, id="always somebody, for long"),
    ],
)
def test_a_queue_that_stays_doubles_the_workers_and_no_more(
    tools: Tools, tmp_path: Path, oldest: str, boost: float
) -> None:
    series = {f'evalpool_slots{{pod="{number}"}}': f"4x{STEPS}" for number in range(3)}
    series['evalpool_lane_oldest_seconds{lane="single"}'] = oldest
    series['evalpool_lane_oldest_seconds{lane="batch"}'] = f"999x{STEPS}"

    assert answers(tools, tmp_path, "boost", series, boost)


def answers(tools: Tools, folder: Path, trigger: str, series: dict[str, str], expected: float) -> bool:
    """Whether the query gives this number at the end, and nothing else; else promtool's words are raised."""
    test: dict[str, Any] = {
        "interval": f"{SCRAPE_S}s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": QUERIES[trigger],
                "eval_time": f"{MINUTES}m",
                "exp_samples": [{"labels": "{}", "value": expected}],
            }
        ],
    }
    file = folder / "test.yaml"
    file.write_text(yaml.safe_dump({"tests": [test]}))
    done = subprocess.run([tools.promtool, "test", "rules", file], capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(done.stdout + done.stderr)
    return True
