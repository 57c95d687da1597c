"""HTTP shapes: what the wire looks like, types and lengths of lists. What the values may be is in `checks`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.checks import MAX_OUTPUTS, MAX_STRINGS
from jobs.model import JobState, Status

EXAMPLE_ID = "5f0c2b8e9d3a4c61b7e8f90a1b2c3d4e"
EXAMPLE_EVAL: dict[str, Any] = {
    "id": EXAMPLE_ID,
    "status": "ok",
    "stdout": "hello, world\n",
    "stderr": "",
    "exit_code": 0,
    "signal": None,
    "stdout_truncated": False,
    "stderr_truncated": False,
    "files": {},
    "figures": [],
    "display": [],
    "compile": None,
    "usage": {"wall_ms": 1.9, "cpu_ms": 1.1, "memory_bytes": 9437184},
    "timing": {"queue_ms": 0.4, "run_ms": 2.2, "total_ms": 3.1},
    "attempt": 1,
    "warm": True,
}
_EXAMPLE_PROBLEM: dict[str, Any] = {
    "type": "urn:evalpool:problem:invalid-request",
    "title": "Invalid request",
    "status": 422,
    "detail": "timeout_s: must be at most 60",
    "safe_to_retry": False,
    "errors": [{"field": "timeout_s", "message": "must be at most 60"}],
}


def shape(**example: Any) -> ConfigDict:
    """Config of every shape: nothing unknown, nothing coerced, an example for the documentation."""
    return ConfigDict(extra="forbid", strict=True, frozen=True, json_schema_extra={"examples": [example]})


class FileContent(BaseModel):
    """A file that is not text."""

    model_config = shape(base64="AAEC/w==")

    base64: str
    """RFC 4648 section 4, with padding."""


class EvalRequest(BaseModel):
    """One program to run as `python3 main.py` in a fresh directory."""

    model_config = shape(
        code="import sys\nprint('hello,', sys.stdin.read())",
        stdin="world",
        files={"data/numbers.txt": "1 2 3\n"},
        timeout_s=5,
        outputs=["*.png"],
    )

    code: Annotated[str, Field(description="The program. At most 1 MiB.")]
    stdin: Annotated[str, Field(description="Its standard input. At most 8 MiB.")] = ""
    files: Annotated[
        dict[str, str | FileContent],
        Field(description="Relative path -> content, put beside the program. At most 1,000, together 16 MiB."),
    ] = Field(default_factory=dict)
    args: Annotated[list[str], Field(max_length=MAX_STRINGS, description="`sys.argv[1:]`.")] = Field(
        default_factory=list
    )
    env: Annotated[dict[str, str], Field(max_length=MAX_STRINGS, description="Environment variables.")] = Field(
        default_factory=dict
    )
    environment: Annotated[str, Field(description="Where to run; /v1/environments lists them.")] = "default"
    timeout_s: Annotated[
        float | None,
        Field(allow_inf_nan=False, description="Wall time, seconds: above 0, at most 60; by default 10."),
    ] = None
    memory_bytes: Annotated[
        int | None, Field(description="Of the whole program: 16 MiB to 1 GiB; by default 256 MiB.")
    ] = None
    outputs: Annotated[list[str], Field(max_length=MAX_OUTPUTS, description="Globs of files to bring back.")] = Field(
        default_factory=list
    )
    figures: Annotated[
        bool, Field(description="Bring back matplotlib's figures, without the program's saving them.")
    ] = False
    interpreter_mode: Annotated[bool, Field(description="Echo bare expressions, as the prompt does.")] = False
    display: Annotated[
        bool, Field(description="Bring back what `interpreter_mode` echoes, as text, HTML, images, ...")
    ] = False
    strace: Annotated[bool, Field(description="Run under strace; its report is added to stderr.")] = False


class TextEvalRequest(BaseModel):
    """The request of the `replit-code-exec` client."""

    model_config = shape(code="1 + 1", interpreter_mode=True)

    code: str
    files: Annotated[dict[str, str], Field(description="Relative path -> text.")] = Field(default_factory=dict)
    strace: bool = False
    interpreter_mode: bool = False


class Usage(BaseModel):
    """What the program used."""

    model_config = shape(wall_ms=1.9, cpu_ms=1.1, memory_bytes=9437184)

    wall_ms: float
    cpu_ms: float
    memory_bytes: int


class Timing(BaseModel):
    """Where the time went, milliseconds."""

    model_config = shape(queue_ms=0.4, run_ms=2.2, total_ms=3.1)

    queue_ms: float
    run_ms: float
    total_ms: float


class Figure(BaseModel):
    """A plot, as the program showed it or left it open."""

    model_config = shape(format="png", base64="iVBORw0KGgo=")

    format: Literal["png"] = "png"
    base64: str


class Compile(BaseModel):
    """What the compile step did."""

    model_config = shape(exit_code=0, signal=None, stdout="", stderr="", wall_ms=41.3, cached=False)

    exit_code: int | None
    signal: int | None
    stdout: str
    stderr: str
    wall_ms: float
    cached: bool


class EvalResponse(BaseModel):
    """A program that ran, whatever it did."""

    model_config = shape(**EXAMPLE_EVAL)

    id: str
    status: Status
    stdout: str
    stderr: str
    exit_code: int | None
    signal: int | None
    stdout_truncated: bool
    stderr_truncated: bool
    files: dict[str, FileContent]
    figures: list[Figure]
    display: list[dict[str, str]]
    compile: Compile | None
    usage: Usage
    timing: Timing
    attempt: int
    warm: bool


class InvalidField(BaseModel):
    """One field that cannot be taken."""

    model_config = shape(field="timeout_s", message="must be at most 60")

    field: str
    message: str
    line: Annotated[int | None, Field(description="Where it is, in JSON Lines; from 1.")] = None


class ProblemDocument(BaseModel):
    """RFC 9457. 4xx: the request; 429: our capacity; 5xx: our fault."""

    model_config = shape(**_EXAMPLE_PROBLEM)

    type: str
    title: str
    status: int
    detail: str
    safe_to_retry: bool
    errors: list[InvalidField] = Field(default_factory=list)
    job_id: str | None = None
    retry_after_s: int | None = None


class Links(BaseModel):
    """Where to go on."""

    model_config = shape(self=f"/v1/jobs/{EXAMPLE_ID}", wait=f"/v1/jobs/{EXAMPLE_ID}?wait_s=30")

    self: str
    wait: str


class JobAccepted(BaseModel):
    """A job that waits for a worker."""

    model_config = shape(
        id=EXAMPLE_ID,
        state="queued",
        links={"self": f"/v1/jobs/{EXAMPLE_ID}", "wait": f"/v1/jobs/{EXAMPLE_ID}?wait_s=30"},
    )

    id: str
    state: Literal[JobState.QUEUED] = JobState.QUEUED
    links: Links


class JobView(BaseModel):
    """A job by id: once it is done it has a `result`, or an `error` if we failed it."""

    model_config = shape(id=EXAMPLE_ID, state="done", result=EXAMPLE_EVAL)

    id: str
    state: JobState
    result: EvalResponse | None = None
    error: ProblemDocument | None = None


_EXAMPLE_ENVIRONMENT = {
    "name": "default",
    "kind": "python",
    "filename": "main.py",
    "command": ["python3", "main.py"],
    "digests": [],
    "workers": 2,
    "slots": 8,
    "served_by": ["host-17-a1b2c3", "host-18-d4e5f6"],
}


class Environment(BaseModel):
    """An environment that live workers offer."""

    model_config = shape(**_EXAMPLE_ENVIRONMENT)

    name: str
    kind: Literal["python", "exec"]
    filename: str
    command: list[str]
    digests: list[str]
    workers: int
    slots: int
    served_by: list[str]


class Environments(BaseModel):
    """Every environment that live workers offer."""

    model_config = shape(environments=[_EXAMPLE_ENVIRONMENT])

    environments: list[Environment]


class Health(BaseModel):
    """The process lives."""

    model_config = shape(status="ok")

    status: Literal["ok", "ready", "degraded"]
    """`degraded`: of several Redis some do not answer; their share of the jobs fails, the rest is served."""
    unreachable: list[str] = []
