"""A result as text, for a model to act on: the output as it came, then one line if something cut it short."""

from __future__ import annotations

from signal import Signals
from typing import TYPE_CHECKING

from jobs.model import Status

if TYPE_CHECKING:
    from jobs.model import Job, JobResult

_MIB = 1 << 20


def text_of(job: Job, result: JobResult) -> str:
    """Give the output as it came, and a last line `[evalpool: ...]` where one helps."""
    output = _compiled(result) + result.stdout + result.stderr
    said = notice(job, result)
    if said is None:
        return output
    gap = "" if not output or output.endswith("\n") else "\n"
    return f"{output}{gap}[evalpool: {said}]\n"


def notice(job: Job, result: JobResult) -> str | None:
    """Why the program stopped, where its own output does not say so."""
    match result.status:
        case Status.TIMEOUT:
            return f"timed out after {job.timeout_s:g} s"
        case Status.MEMORY:
            return f"killed: it used more than its {job.memory_bytes / _MIB:g} MiB of memory"
        case Status.OUTPUT:
            return f"killed: it printed more than {job.output_bytes / _MIB:g} MiB"
        case Status.KILLED:
            return f"killed by {_signal(result.signal)}"
        case Status.CANCELLED:
            return "cancelled"
        case Status.ERROR if not (_compiled(result) or result.stdout or result.stderr):
            return f"no output, exit code {result.exit_code}"
        case _:
            return None


def _compiled(result: JobResult) -> str:
    """What the compile step said."""
    return result.compile.stdout + result.compile.stderr if result.compile else ""


def _signal(number: int | None) -> str:
    try:
        return f"signal {number} ({Signals(number or 0).name})"
    except ValueError:
        return f"signal {number}"
