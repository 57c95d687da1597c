"""HTTP shapes of `/v1/judge`: types only. What the values may be is in `checks`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

from api.checks import MAX_STRINGS
from api.schemas import EXAMPLE_ID, EvalResponse, FileContent, ProblemDocument, shape
from jobs.model import (
    Comparison,
    Status,
    Verdict,
)

_EXAMPLE_CASES: list[dict[str, Any]] = [
    {"id": "small", "stdin": "1 2\n", "expected_stdout": "3\n"},
    {"id": "large", "stdin": "1000000 1\n", "expected_stdout": "1000001\n"},
]


class JudgeCase(BaseModel):
    """One input of the program, and what is expected of it."""

    model_config = shape(**_EXAMPLE_CASES[0])

    id: Annotated[str | None, Field(description="Unique in the request; by default the case's number from 0.")] = None
    stdin: Annotated[str, Field(description="Standard input. At most 8 MiB.")] = ""
    args: Annotated[list[str], Field(max_length=MAX_STRINGS, description="`sys.argv[1:]`.")] = Field(
        default_factory=list
    )
    files: Annotated[
        dict[str, str | FileContent],
        Field(description="Relative path -> content, on top of the request's `files`."),
    ] = Field(default_factory=dict)
    expected_stdout: Annotated[
        str | None, Field(description="Never leaves the API. None: a program that ends with `ok` passes.")
    ] = None


class Tolerance(BaseModel):
    """How far a number may be from the expected one: within either of these."""

    model_config = shape(absolute=1e-9, relative=1e-6)

    absolute: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    relative: Annotated[float, Field(ge=0, allow_inf_nan=False, description="Of the expected number.")] = 0.0


class JudgeRequest(BaseModel):
    """One program to run on many inputs, each in a cell of its own."""

    model_config = shape(code="print(sum(map(int, input().split())))", cases=_EXAMPLE_CASES, compare="trimmed")

    code: Annotated[str, Field(description="The program. At most 1 MiB.")]
    files: Annotated[
        dict[str, str | FileContent], Field(description="Relative path -> content, beside the program in every case.")
    ] = Field(default_factory=dict)
    env: Annotated[dict[str, str], Field(max_length=MAX_STRINGS, description="Environment variables.")] = Field(
        default_factory=dict
    )
    environment: Annotated[str, Field(description="Where to run; /v1/environments lists them.")] = "default"
    timeout_s: Annotated[
        float | None, Field(allow_inf_nan=False, description="Wall time of each case, seconds; by default 10.")
    ] = None
    memory_bytes: Annotated[int | None, Field(description="Memory of each case; by default 256 MiB.")] = None
    cases: Annotated[list[JudgeCase], Field(description="1 to 1,000.")]
    compare: Annotated[Comparison, Field(strict=False, description="How outputs are compared.")] = Comparison.TRIMMED
    tolerance: Annotated[
        float | Tolerance | None,
        Field(description="With `float`: a number stands for both kinds; by default 1e-6."),
    ] = None
    stop_on_first_failure: Annotated[bool, Field(description="Cancel what is left once a case failed.")] = False


class CaseAnswer(BaseModel):
    """What a case came to: a `result`, an `error` of ours, or (not run) neither."""

    model_config = shape(id="small", verdict="passed", status="ok", result=None, error=None)

    id: str
    verdict: Verdict | None
    status: Status | None
    result: EvalResponse | None = None
    error: ProblemDocument | None = None


class JudgeAnswer(BaseModel):
    """The verdict over all cases: `failed` if one failed, `passed` if all passed, else none."""

    model_config = shape(
        id=EXAMPLE_ID, verdict="passed", passed=2, failed=0, errors=0, not_run=0, total_ms=9.6, cases=[]
    )

    id: str
    verdict: Verdict | None
    passed: int
    failed: int
    errors: int
    not_run: int
    total_ms: float
    cases: Annotated[list[CaseAnswer], Field(description="In the request's order; empty in an event stream.")]
