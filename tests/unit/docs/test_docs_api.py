"""docs/api.md has every route, field, word and problem; the requests that documents show are requests that we take."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from documents import DOCS, ROOT, rows, section
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from api import errors, problems
from api.app import create_app
from api.checks import check
from api.judge.plan import plan_of
from api.judge.schemas import CaseAnswer, JudgeAnswer, JudgeCase, JudgeRequest
from api.parse import parse
from api.schemas import EvalRequest, EvalResponse
from api.settings import ApiSettings
from jobs.errors import ArchiveError, BrokerFull, BrokerUnavailable, LaneFull, TooManyBatches, UploadLost, WireError
from jobs.memory_broker import MemoryBroker, MemoryInbox
from jobs.model import Comparison, JobResult, Reason, Status
from sandbox.environment import Environment
from sandbox.host.programs import variables

if TYPE_CHECKING:
    from pathlib import Path

API, JUDGE = DOCS / "api.md", DOCS / "judge.md"
BODY = re.compile(r"-d '(\{.*?\})'", re.DOTALL)
FAILED = [JobResult(job_id="j", status=Status.INTERNAL, reason=reason) for reason in Reason]
ERRORS: list[Exception] = [
    errors.InvalidRequest([errors.FieldError("code", "is bad")]),
    errors.TooLarge(field="code", bound_bytes=1),
    errors.BodyStoodStill(60),
    errors.WrongMediaType(),
    errors.Unauthorized(presented=True),
    errors.ForeignHost(),
    errors.UnknownEnvironment("e", ["default"]),
    errors.UnknownJob("j"),
    errors.UnknownBatch(),
    errors.NotReady("why"),
    errors.NoReply("j"),
    *map(errors.JobFailed, FAILED),
    LaneFull(lane="single", depth=1, bound=1),
    TooManyBatches(what="batches", open_now=1, bound=1),
    UploadLost(),
    ArchiveError(),
    BrokerFull(),
    BrokerUnavailable(),
    WireError(),
    RequestValidationError([]),
    HTTPException(404),
    HTTPException(405),
    Exception(),
]


def fields(title: str) -> set[str]:
    return {name for row in rows(section(API, title)) for name in row.code(0)}


def test_every_route_is_documented_and_no_other() -> None:
    broker = MemoryBroker()
    app = create_app(ApiSettings(), broker, MemoryInbox(broker, "inbox"))
    routes = {f"{method.upper()} {path}" for path, methods in app.openapi()["paths"].items() for method in methods}

    assert {row.code(0)[0] for row in rows(section(API, "Routes"))} == routes


def test_every_field_of_an_eval_is_documented_and_no_other() -> None:
    assert fields("POST /v1/eval") == {*EvalRequest.model_fields, *EvalResponse.model_fields}


def test_every_variable_of_a_program_is_documented_and_no_other() -> None:
    env = next(row for row in rows(section(API, "POST /v1/eval")) if row.code(0) == ["env"])

    assert {*variables(Environment())} == {*re.findall(r"`([A-Z_]+)`", env.cells[-1])}


def test_every_status_is_documented() -> None:
    told = section(API, "status")

    assert fields("status") == {*Status} - {Status.INTERNAL}
    assert f"`{Status.INTERNAL}`" in told
    assert {row.code(0)[0] for row in rows(section(ROOT / "README.md", "How a program ended"))} == fields("status")


def test_every_reason_becomes_what_is_documented() -> None:
    told = {row.code(0)[0]: row.cells[1] for row in rows(section(API, "Problems")) if row.code(0)[0] in set(Reason)}

    assert told.keys() == set(Reason)


def test_every_problem_is_documented_with_its_status_and_no_other() -> None:
    assert {type(error) for error in ERRORS} == set(problems.TABLE)
    made = [problems.problem_of(error) for error in ERRORS]
    told: dict[str, tuple[str, bool]] = {}
    for row in rows(section(API, "Problems")):
        if len(row.cells) > 2:
            statuses = row.cells[1].split(", ")
            told |= {slug: (status, row.cells[2] == "yes") for slug, status in zip(row.code(0), statuses, strict=True)}

    assert told == {problem.slug: (str(problem.status), problem.safe_to_retry) for problem in made}


def test_every_field_of_a_judge_request_is_documented_and_no_other() -> None:
    asked, told = rows(section(JUDGE, "Request")), rows(section(JUDGE, "Answer"))
    named = {name for row in (*asked, *told) for name in row.code(0)}

    shapes = (JudgeRequest, JudgeCase, JudgeAnswer, CaseAnswer)
    assert named == {name for shape in shapes for name in shape.model_fields}
    assert {row.code(0)[0] for row in rows(section(JUDGE, "Comparing"))} == {*Comparison}


@pytest.mark.parametrize("document", [ROOT / "README.md", API, JUDGE], ids=lambda document: document.name)
def test_requests_that_are_shown_are_taken(document: Path) -> None:
    bodies = BODY.findall(document.read_text())
    for body in bodies:
        if "cases" in body:
            plan_of(parse(JudgeRequest, body.encode()), ApiSettings(), part_id="p", reply_to=None)
        else:
            check(parse(EvalRequest, body.encode()), ApiSettings())

    assert bodies
