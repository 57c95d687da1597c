"""A judge request as jobs: the only file here that knows HTTP and jobs both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from api.convert import contents, job_of
from api.errors import InvalidRequest, TooLarge
from api.judge.checks import case_id, check_cases
from api.judge.schemas import Tolerance
from api.schemas import EvalRequest
from jobs.compare import Comparator
from jobs.model import Comparison, JudgeCase, JudgeOrder, SharedPart

if TYPE_CHECKING:
    from api.judge import schemas
    from api.judge.schemas import JudgeRequest
    from api.settings import ApiSettings
    from jobs.model import Job

DEFAULT_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A checked judge request."""

    part: SharedPart
    template: Job
    """What all its jobs have in common besides the part."""
    cases: tuple[JudgeCase, ...]
    comparator: Comparator
    stops: bool
    """On the first failure."""

    def job(self, case: JudgeCase, *, job_id: str, now: float) -> Job:
        """Make the case's job; `now` is Unix time, seconds."""
        patience_s = self.template.deadline_at - self.template.submitted_at
        return replace(
            self.template,
            id=job_id,
            stdin=case.stdin,
            args=case.args,
            files=case.files,
            submitted_at=now,
            deadline_at=now + patience_s,
        )

    def whole(self, *, shown_bytes: int) -> Job:
        """All of it as one job, for an item of a batch."""
        order = JudgeOrder(
            cases=self.cases,
            comparison=self.comparator.comparison,
            absolute=self.comparator.absolute,
            relative=self.comparator.relative,
            stops=self.stops,
            shown_bytes=shown_bytes,
        )
        return replace(self.template, code=self.part.code, files=self.part.files, shared=None, judge=order)


def plan_of(request: JudgeRequest, settings: ApiSettings, *, part_id: str, reply_to: str | None) -> Plan:
    """Check a judge request and make it a plan. Raises InvalidRequest, TooLarge."""
    program = EvalRequest.model_construct(  # of values that are validated; files of a batch's defaults are decoded
        code=request.code,
        files=request.files,
        env=request.env,
        environment=request.environment,
        timeout_s=request.timeout_s,
        memory_bytes=request.memory_bytes,
    )
    whole = job_of(program, settings, job_id=part_id, now=0.0, reply_to=reply_to)
    check_cases(request, settings)
    part = SharedPart(code=whole.code, files=whole.files)
    return Plan(
        part=part,
        template=replace(whole, code="", files={}, shared=part_id),
        cases=tuple(_case(number, case, part, settings) for number, case in enumerate(request.cases)),
        comparator=_comparator(request),
        stops=request.stop_on_first_failure,
    )


def _case(number: int, case: schemas.JudgeCase, part: SharedPart, settings: ApiSettings) -> JudgeCase:
    return JudgeCase(
        id=case_id(number, case),
        stdin=case.stdin,
        args=tuple(case.args),
        files=_files(number, case, part, settings) if case.files else {},
        expected=case.expected_stdout,
    )


def _files(number: int, case: schemas.JudgeCase, part: SharedPart, settings: ApiSettings) -> dict[str, bytes]:
    """The case's own files; with those that it does not replace they are at most what one job may have."""
    replaced = sum(len(part.files[name]) for name in case.files if name in part.files)
    room = settings.max_files_bytes - sum(map(len, part.files.values())) + replaced
    try:
        return contents(case.files, room)
    except TooLarge:
        raise TooLarge(field=f"cases.{number}.files", bound_bytes=settings.max_files_bytes) from None
    except InvalidRequest as error:
        raise InvalidRequest([one._replace(field=f"cases.{number}.{one.field}") for one in error.errors]) from None


def _comparator(request: JudgeRequest) -> Comparator:
    if request.compare is not Comparison.FLOAT:
        return Comparator(comparison=request.compare)
    given = DEFAULT_TOLERANCE if request.tolerance is None else request.tolerance
    if not isinstance(given, Tolerance):
        given = Tolerance(absolute=given, relative=given)
    return Comparator(comparison=request.compare, absolute=given.absolute, relative=given.relative)
