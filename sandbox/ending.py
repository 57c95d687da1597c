"""The judgement over a run: one pure function, the order of its lines is the rule."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.spec import RunReport


class Ending(StrEnum):
    """How a program stopped. A sandbox that failed raises `SandboxError` instead."""

    MEMORY = "memory"
    OUTPUT = "output"
    WALL_TIME = "wall_time"
    CPU_TIME = "cpu_time"
    SIGNALLED = "signalled"
    FAILED = "failed"
    OK = "ok"


def ending_of(report: RunReport) -> Ending:
    """Judge a report. What *we* did to the program comes before how it then died."""
    if report.oom_killed:
        return Ending.MEMORY
    if report.output_exceeded:
        return Ending.OUTPUT
    if report.timed_out:
        return Ending.WALL_TIME
    if report.cpu_exceeded:
        return Ending.CPU_TIME
    if report.signal is not None:
        return Ending.SIGNALLED
    return Ending.OK if report.exit_code == 0 else Ending.FAILED
