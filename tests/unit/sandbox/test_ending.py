from __future__ import annotations

from typing import Any

import pytest

from sandbox import Ending, RunReport, ending_of

TABLE: list[tuple[dict[str, Any], Ending]] = [
    ({"exit_code": 0}, Ending.OK),
    ({"exit_code": 1}, Ending.FAILED),
    ({"exit_code": 255}, Ending.FAILED),
    ({"signal": 11}, Ending.SIGNALLED),
    ({"signal": 9}, Ending.SIGNALLED),
    ({"signal": 24, "cpu_exceeded": True}, Ending.CPU_TIME),
    ({"signal": 9, "timed_out": True}, Ending.WALL_TIME),
    ({"signal": 9, "timed_out": True, "cpu_exceeded": True}, Ending.WALL_TIME),
    ({"signal": 9, "output_exceeded": True}, Ending.OUTPUT),
    ({"signal": 9, "output_exceeded": True, "timed_out": True}, Ending.OUTPUT),
    ({"exit_code": 0, "oom_killed": True}, Ending.MEMORY),
    ({"signal": 9, "oom_killed": True, "output_exceeded": True, "timed_out": True}, Ending.MEMORY),
]


@pytest.mark.parametrize(("facts", "ending"), TABLE)
def test_what_we_did_comes_before_how_it_died(facts: dict[str, Any], ending: Ending) -> None:
    assert ending_of(RunReport(**{"exit_code": None, "signal": None, **facts})) == ending


def test_every_ending_has_a_row() -> None:
    assert {ending for _, ending in TABLE} == set(Ending)
