"""HTTP <-> jobs: the only file that knows both. Limits are narrowed here, once."""

from __future__ import annotations

import binascii
import uuid
from base64 import b64decode, b64encode
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from api import problems
from api.checks import check, file_field
from api.errors import FieldError, InvalidRequest, TooLarge
from api.schemas import (
    Compile,
    EvalRequest,
    EvalResponse,
    Figure,
    FileContent,
    JobView,
    ProblemDocument,
    TextEvalRequest,
    Timing,
    Usage,
)
from jobs.model import CompileResult, Job, JobResult, JobState, Lane, Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from api.settings import ApiSettings


def new_id() -> str:
    """Id of a job: 32 hexadecimal digits that nobody guesses."""
    return uuid.uuid4().hex


def id_of_key(caller: bytes, key: bytes) -> str:
    """Id of the job that this caller means by this Idempotency-Key: the same for ever, nobody else's."""
    return sha256(caller + b"\0" + key).hexdigest()[:32]


def job_of(
    request: EvalRequest,
    settings: ApiSettings,
    *,
    job_id: str,
    now: float,
    reply_to: str | None,
    stream: bool = False,
) -> Job:
    """Make the job that was asked for: answered to the inbox `reply_to`, or kept if there is none.

    `now` is Unix time, seconds. Raises InvalidRequest, TooLarge.
    """
    check(request, settings)
    timeout_s = settings.default_timeout_s if request.timeout_s is None else request.timeout_s
    return Job(
        id=job_id,
        code=request.code,
        stdin=request.stdin,
        files=contents(request.files, settings.max_files_bytes) if request.files else {},
        args=tuple(request.args),
        env=request.env,
        environment=request.environment,
        timeout_s=timeout_s,
        memory_bytes=settings.default_memory_bytes if request.memory_bytes is None else request.memory_bytes,
        output_bytes=settings.output_bytes,
        outputs=tuple(request.outputs),
        figures=request.figures,
        interpreter_mode=request.interpreter_mode,
        display=request.display,
        strace=request.strace,
        lane=Lane.SINGLE,
        submitted_at=now,
        deadline_at=now + settings.queue_timeout_s + timeout_s,
        reply_to=reply_to,
        keep_result=reply_to is None,
        stream=stream,
    )


def job_of_text(request: TextEvalRequest, settings: ApiSettings, *, job_id: str, now: float, reply_to: str) -> Job:
    """Make the job of a `POST /`: its streams are one. Raises InvalidRequest, TooLarge."""
    asked = EvalRequest(
        code=request.code,
        files=dict(request.files),
        strace=request.strace,
        interpreter_mode=request.interpreter_mode,
    )
    job = job_of(asked, settings, job_id=job_id, now=now, reply_to=reply_to)
    return replace(job, merge_streams=True)


def contents(files: Mapping[str, str | bytes | FileContent], bound_bytes: int) -> dict[str, bytes]:
    """Files as bytes, together at most `bound_bytes`. Raises InvalidRequest, TooLarge."""
    decoded = {name: _content(name, given) for name, given in files.items()}
    if sum(map(len, decoded.values())) > bound_bytes:
        raise TooLarge(field="files", bound_bytes=bound_bytes)
    return decoded


def _content(name: str, given: str | bytes | FileContent) -> bytes:
    if isinstance(given, bytes):  # of a batch's defaults, which are decoded once
        return given
    if isinstance(given, str):
        return given.encode()
    try:
        return b64decode(given.base64, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest([FieldError(file_field(name), "is not valid base64")]) from None


def response_of(result: JobResult, *, total_ms: float | None = None) -> EvalResponse:
    """Show the caller a result. `total_ms`: by the api's clock, if it saw the whole."""
    total_ms = result.queue_ms + result.run_ms if total_ms is None else total_ms
    return EvalResponse(
        id=result.job_id,
        status=result.status,
        stdout=result.stdout,
        stderr=result.stderr,
        exit_code=result.exit_code,
        signal=result.signal,
        stdout_truncated=result.stdout_truncated,
        stderr_truncated=result.stderr_truncated,
        files={name: FileContent(base64=b64encode(data).decode()) for name, data in result.files.items()},
        figures=[Figure(base64=b64encode(image).decode()) for image in result.figures],
        display=[dict(value) for value in result.display],
        compile=_compile(result.compile),
        usage=Usage(wall_ms=round(result.wall_ms, 3), cpu_ms=round(result.cpu_ms, 3), memory_bytes=result.memory_bytes),
        timing=Timing(queue_ms=round(result.queue_ms, 3), run_ms=round(result.run_ms, 3), total_ms=round(total_ms, 3)),
        attempt=result.attempt,
        warm=result.warm,
    )


def _compile(result: CompileResult | None) -> Compile | None:
    if result is None:
        return None
    return Compile(
        exit_code=result.exit_code,
        signal=result.signal,
        stdout=result.stdout,
        stderr=result.stderr,
        wall_ms=round(result.wall_ms, 3),
        cached=result.cached,
    )


def view_of(job_id: str, result: JobResult | None) -> JobView:
    """Show a job: queued while there is no result."""
    if result is None:
        return JobView(id=job_id, state=JobState.QUEUED)
    if result.status is Status.INTERNAL:
        error: dict[str, Any] = problems.document(problems.failure(result))
        return JobView(id=job_id, state=JobState.DONE, error=ProblemDocument.model_validate(error))
    return JobView(id=job_id, state=JobState.DONE, result=response_of(result))
