"""Outcomes -> what the caller reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from api import problems
from api.convert import response_of
from api.judge.judging import Outcome
from api.judge.schemas import CaseAnswer, JudgeAnswer
from api.schemas import ProblemDocument
from jobs.model import JudgeCase, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobs.model import JobResult


class Tally:
    """Counts outcomes as they come."""

    def __init__(self) -> None:
        self.passed = self.failed = self.errors = self.not_run = 0

    def add(self, outcome: Outcome) -> None:
        """Count one."""
        self.passed += outcome.verdict is Verdict.PASSED
        self.failed += outcome.verdict is Verdict.FAILED
        self.errors += outcome.problem is not None
        self.not_run += outcome.verdict is None and outcome.problem is None

    @property
    def verdict(self) -> Verdict | None:
        """`failed` if one failed, `passed` if all passed; else a failure of ours keeps it open."""
        if self.failed:
            return Verdict.FAILED
        return None if self.errors or self.not_run else Verdict.PASSED


def judged(result: JobResult) -> JudgeAnswer:
    """Show what became of an item with cases."""
    tally, cases = Tally(), list[CaseAnswer]()
    for number, one in enumerate(result.cases):
        ours = one.result is not None and one.verdict is None
        outcome = Outcome(
            number=number,
            case=JudgeCase(id=one.id),
            verdict=one.verdict,
            result=None if ours else one.result,
            problem=problems.failure(one.result) if ours and one.result is not None else None,
        )
        tally.add(outcome)
        cases.append(case_answer(outcome))
    return judge_answer(result.job_id, tally, cases, total_ms=result.queue_ms + result.run_ms)


def case_answer(outcome: Outcome) -> CaseAnswer:
    """Show one case."""
    result, problem = outcome.result, outcome.problem
    error: dict[str, Any] | None = None if problem is None else problems.document(problem)
    return CaseAnswer(
        id=outcome.case.id,
        verdict=outcome.verdict,
        status=None if result is None else result.status,
        result=None if result is None else response_of(result),
        error=None if error is None else ProblemDocument.model_validate(error),
    )


def judge_answer(judge_id: str, tally: Tally, cases: Sequence[CaseAnswer], *, total_ms: float) -> JudgeAnswer:
    """Show the whole."""
    return JudgeAnswer(
        id=judge_id,
        verdict=tally.verdict,
        passed=tally.passed,
        failed=tally.failed,
        errors=tally.errors,
        not_run=tally.not_run,
        total_ms=round(total_ms, 3),
        cases=list(cases),
    )
