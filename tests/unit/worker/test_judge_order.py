"""An item with cases: each its own run, and its verdict outside of it."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.model import Comparison, Job, JobResult, JudgeCase, JudgeOrder, Reason, Status, Verdict
from worker.judge import judged

PASSED, FAILED = Verdict


def order(*expected: str | None, **fields: Any) -> JudgeOrder:
    cases = tuple(JudgeCase(id=f"c{n}", stdin=str(n), expected=one) for n, one in enumerate(expected))
    return JudgeOrder(cases=cases, **fields)


class Runs:
    """Prints the input; or has the status that `statuses` has for it."""

    def __init__(self, **statuses: Status) -> None:
        self.statuses, self.jobs = statuses, list[Job]()

    async def __call__(self, job: Job) -> JobResult:
        self.jobs.append(job)
        status = self.statuses.get(f"c{job.stdin}", Status.OK)
        reason = Reason.EXPIRED if status is Status.INTERNAL else None
        return JobResult(job_id=job.id, status=status, reason=reason, stdout=f"{job.stdin}\n", cpu_ms=1, memory_bytes=9)


def job(judge: JudgeOrder) -> Job:
    return Job(id="j", code="x", files={"a": b"1", "b": b"1"}, submitted_at=0, deadline_at=1, judge=judge)


async def verdicts(asked: JudgeOrder, runs: Runs) -> tuple[Status, list[Verdict | None]]:
    result = await judged(job(asked), asked, runs)
    return result.status, [case.verdict for case in result.cases]


@pytest.mark.parametrize(
    ("expected", "statuses", "told"),
    [
        (("0", "1"), {}, (Status.OK, [PASSED, PASSED])),
        (("0", "2"), {}, (Status.ERROR, [PASSED, FAILED])),
        (("0", "1"), {"c1": Status.TIMEOUT}, (Status.ERROR, [PASSED, FAILED])),
        (("0", "1"), {"c0": Status.INTERNAL}, (Status.INTERNAL, [None, PASSED])),
        (("0", "2"), {"c0": Status.INTERNAL}, (Status.ERROR, [None, FAILED])),
        ((None, None), {}, (Status.OK, [PASSED, PASSED])),
    ],
)
async def test_the_cases_make_the_status(
    expected: tuple[str | None, ...], statuses: dict[str, Status], told: tuple[Status, list[Verdict | None]]
) -> None:
    assert await verdicts(order(*expected), Runs(**statuses)) == told


async def test_a_case_is_a_job_without_what_is_expected() -> None:
    asked = JudgeOrder(cases=(JudgeCase(id="c", stdin="in", args=("-v",), files={"b": b"2"}, expected="secret"),))
    runs = Runs()
    await judged(job(asked), asked, runs)
    [one] = runs.jobs

    assert (one.stdin, one.args, one.files, one.judge) == ("in", ("-v",), {"a": b"1", "b": b"2"}, None)
    assert "secret" not in repr(one)


async def test_the_first_failure_stops_if_asked_to() -> None:
    runs = Runs()

    told = await verdicts(order("0", "x", "2", "3", stops=True), runs)
    assert told == (Status.ERROR, [PASSED, FAILED, None, None])
    assert len(runs.jobs) == 2


async def test_outputs_are_cut_and_usage_is_summed() -> None:
    asked = order("0", "1", shown_bytes=1, comparison=Comparison.EXACT)
    result = await judged(job(asked), asked, Runs())

    assert [(case.result.stdout, case.result.stdout_truncated) for case in result.cases if case.result] == [
        ("0", True),
        ("1", True),
    ]
    assert (result.cpu_ms, result.memory_bytes) == (2, 9)
