"""A job with cases: the program once for each, in a cell of its own; the verdict is made here, outside the cells."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from jobs.compare import Comparator
from jobs.model import CaseResult, JobResult, Reason, Status, Verdict, shortened

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from jobs.model import Job, JudgeOrder


async def judged(job: Job, order: JudgeOrder, run: Callable[[Job], Awaitable[JobResult]]) -> JobResult:
    """Run the cases one after the other; `run` runs a job without cases. No job has what is expected in it."""
    comparator = Comparator(comparison=order.comparison, absolute=order.absolute, relative=order.relative)
    results: list[CaseResult] = []
    stopped = False
    for case in order.cases:
        if stopped:
            results.append(CaseResult(id=case.id))
            continue
        files = {**job.files, **case.files}
        result = await run(replace(job, stdin=case.stdin, args=case.args, files=files, judge=None))
        verdict = await comparator.judged(result.status, result.stdout, case.expected)
        results.append(CaseResult(id=case.id, verdict=verdict, result=shortened(result, order.shown_bytes)))
        stopped = order.stops and verdict is Verdict.FAILED
    return _whole(job, results)


def _whole(job: Job, cases: Sequence[CaseResult]) -> JobResult:
    ran = [case.result for case in cases if case.result is not None]
    status, reason = _status(cases)
    return JobResult(
        job_id=job.id,
        status=status,
        reason=reason,
        wall_ms=sum(result.wall_ms for result in ran),
        cpu_ms=sum(result.cpu_ms for result in ran),
        memory_bytes=max((result.memory_bytes for result in ran), default=0),
        queue_ms=ran[0].queue_ms,
        run_ms=sum(result.run_ms for result in ran),
        attempt=ran[0].attempt,
        warm=all(result.warm for result in ran),
        cases=tuple(cases),
    )


def _status(cases: Sequence[CaseResult]) -> tuple[Status, Reason | None]:
    """A failed case decides; else one of ours leaves it open."""
    if any(case.verdict is Verdict.FAILED for case in cases):
        return Status.ERROR, None
    ours = next((case.result for case in cases if case.result is not None and case.verdict is None), None)
    return (Status.OK, None) if ours is None else (Status.INTERNAL, ours.reason or Reason.SANDBOX)
