"""Job -> RunSpec, RunReport -> JobResult: the only file that speaks both languages."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from jobs.model import CompileResult, Delivery, Job, JobResult, Lane, Reason, Status
from sandbox import Bytecode, CompileReport, Ending, Limits, RunReport, RunSpec, ending_of

_STATUS = {
    Ending.OK: Status.OK,
    Ending.FAILED: Status.ERROR,
    Ending.WALL_TIME: Status.TIMEOUT,
    Ending.CPU_TIME: Status.TIMEOUT,
    Ending.MEMORY: Status.MEMORY,
    Ending.OUTPUT: Status.OUTPUT,
    Ending.SIGNALLED: Status.KILLED,
}


@dataclass(frozen=True, slots=True)
class Began:
    """When work on a delivery began: Unix time, and by the clock that nobody sets meanwhile."""

    at: float = field(default_factory=time.time)
    mark_s: float = field(default_factory=time.monotonic)

    def ran_ms(self) -> float:
        """How long that is ago."""
        return (time.monotonic() - self.mark_s) * 1000


def spec_of(job: Job, bytecode: Bytecode | None = None, *, wall_s: float) -> RunSpec:
    """What the sandbox is to run; `wall_s` is the job's own limit or what its deadline leaves of it."""
    return RunSpec(
        code=job.code,
        stdin=job.stdin.encode(),
        files=job.files,
        args=job.args,
        env=job.env,
        outputs=job.outputs,
        figures=job.figures,
        interpreter_mode=job.interpreter_mode,
        display=job.display,
        strace=job.strace,
        merge_streams=job.merge_streams,
        patient=job.lane is Lane.BATCH,
        bytecode=bytecode,
        limits=Limits(wall_s=wall_s, memory_bytes=job.memory_bytes, output_bytes=job.output_bytes),
    )


def result_of(delivery: Delivery, report: RunReport, began: Began) -> JobResult:
    """What the caller is told of a program that ran."""
    return JobResult(
        job_id=delivery.job.id,
        status=_STATUS[ending_of(report)],
        stdout=report.stdout.decode(errors="replace"),
        stderr=report.stderr.decode(errors="replace"),
        exit_code=report.exit_code,
        signal=report.signal,
        stdout_truncated=report.stdout_truncated,
        stderr_truncated=report.stderr_truncated,
        files=report.files,
        figures=report.figures,
        display=report.display,
        compile=_compile_of(report.compile),
        wall_ms=report.usage.wall_s * 1000,
        cpu_ms=report.usage.cpu_s * 1000,
        memory_bytes=report.usage.memory_bytes,
        queue_ms=_queue_ms(delivery, began),
        run_ms=began.ran_ms(),
        attempt=delivery.attempt,
        warm=report.warm,
    )


def _compile_of(report: CompileReport | None) -> CompileResult | None:
    if report is None:
        return None
    return CompileResult(
        exit_code=report.exit_code,
        signal=report.signal,
        stdout=report.stdout.decode(errors="replace"),
        stderr=report.stderr.decode(errors="replace"),
        wall_ms=report.wall_s * 1000,
        cached=report.cached,
    )


def failure_of(delivery: Delivery, status: Status, reason: Reason, message: str, began: Began) -> JobResult:
    """What the caller is told of a job whose program did not run, or not to its end."""
    return JobResult(
        job_id=delivery.job.id,
        status=status,
        reason=reason,
        message=message,
        queue_ms=_queue_ms(delivery, began),
        run_ms=began.ran_ms(),
        attempt=delivery.attempt,
    )


def _queue_ms(delivery: Delivery, began: Began) -> float:
    return max(0.0, began.at - delivery.job.submitted_at) * 1000
