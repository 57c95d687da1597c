"""Error class -> problem document (RFC 9457): one table, and the two ways to say it (JSON, one line of text).

Nothing here quotes an exception or a program: every word is written below or by `errors.FieldError`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api import errors, faults, metrics
from jobs.errors import ArchiveError, BrokerFull, BrokerUnavailable, LaneFull, TooManyBatches, UploadLost, WireError
from jobs.model import JobResult, Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MEDIA_TYPE = "application/problem+json"
_NAMED = 20
"""Environments that an answer names."""
AGAIN = "It is safe to send the request again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One problem, before it is written down."""

    slug: str
    title: str
    status: int
    detail: str
    errors: tuple[errors.FieldError, ...] = ()
    job_id: str | None = None
    retry_after_s: int | None = None
    safe_to_retry: bool = False
    headers: tuple[tuple[str, str], ...] = ()


def problem_of(error: Exception) -> Problem:
    """Problem of any error: of the nearest class in `TABLE`."""
    for cls in type(error).__mro__:
        if cls in TABLE:
            return TABLE[cls](error)
    raise AssertionError("Exception is in the table")  # pragma: no cover


def document(problem: Problem) -> dict[str, Any]:
    """RFC 9457 members, then ours, those that say something."""
    body: dict[str, Any] = {
        "type": f"urn:evalpool:problem:{problem.slug}",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "safe_to_retry": problem.safe_to_retry,
    }
    if problem.errors:
        body["errors"] = [_told(error) for error in problem.errors]
    if problem.job_id is not None:
        body["job_id"] = problem.job_id
    if problem.retry_after_s is not None:
        body["retry_after_s"] = problem.retry_after_s
    return body


def _told(error: errors.FieldError) -> dict[str, Any]:
    return {name: value for name, value in error._asdict().items() if value is not None}


def line(problem: Problem) -> str:
    """Say the problem in one line that reads well in a model's context."""
    named = "; ".join(f"{error.field}: {error.message}" for error in problem.errors)
    return f"[evalpool: {problem.status} {problem.title}. {named or problem.detail}]\n"


def response(problem: Problem, *, as_text: bool = False) -> Response:
    """Make the problem an HTTP answer, and count it."""
    metrics.problems(problem.slug).inc()
    headers = dict(problem.headers)
    if problem.retry_after_s is not None:
        headers["retry-after"] = str(problem.retry_after_s)
    if as_text:
        return Response(line(problem), problem.status, headers, "text/plain")
    return Response(msgspec.json.encode(document(problem)), problem.status, headers, MEDIA_TYPE)


def _invalid(error: errors.InvalidRequest) -> Problem:
    return Problem(
        slug="invalid-request",
        title="Invalid request",
        status=422,
        detail="; ".join(map(_named, error.errors)),
        errors=error.errors,
    )


def _named(error: errors.FieldError) -> str:
    where = "" if error.line is None else f"line {error.line}, "
    return f"{where}{error.field}: {error.message}"


def _too_large(error: errors.TooLarge) -> Problem:
    message = f"over the bound of {error.bound_bytes} bytes"
    return Problem(
        slug="too-large",
        title="Too large",
        status=413,
        detail=f"{error.field}: {message}",
        errors=(errors.FieldError(error.field, message),),
    )


def _body_stood_still(error: errors.BodyStoodStill) -> Problem:
    return Problem(
        slug="body-stood-still",
        title="The body stood still",
        status=408,
        detail=f"Nothing of the body came for {error.waited_s:g} s. {AGAIN}",
        safe_to_retry=True,
        headers=(("connection", "close"),),
    )


def _media_type(error: errors.WrongMediaType) -> Problem:
    accepted, coding = "application/json", "without Content-Encoding"
    if error.batch:
        accepted, coding = "application/jsonl, application/json", "plain or with Content-Encoding: gzip"
    return Problem(
        slug="wrong-media-type",
        title="Wrong content type",
        status=415,
        detail=f"Send the body as Content-Type: {accepted}, {coding}.",
        headers=(("accept", accepted),),
    )


def _unauthorized(error: errors.Unauthorized) -> Problem:
    challenge = 'Bearer realm="evalpool"' + (', error="invalid_token"' if error.presented else "")
    return Problem(
        slug="unauthorized",
        title="Unauthorized",
        status=401,
        detail="The bearer token is wrong." if error.presented else "Send Authorization: Bearer <token>.",
        headers=(("www-authenticate", challenge),),
    )


def _foreign_host(_: errors.ForeignHost) -> Problem:
    return Problem(
        slug="foreign-host",
        title="Foreign host name",
        status=403,
        detail="No token is set, so only loopback host names are answered. Set EVAL_TOKEN_AUTH to lift this.",
    )


def _unknown_environment(error: errors.UnknownEnvironment) -> Problem:
    named = ", ".join(error.served[:_NAMED]) + (", ..." if len(error.served) > _NAMED else "")
    message = f"no worker serves it; there are {named}"
    return Problem(
        slug="unknown-environment",
        title="Unknown environment",
        status=422,
        detail=f"environment: {message}",
        errors=(errors.FieldError("environment", message),),
    )


def _unknown_job(error: errors.UnknownJob) -> Problem:
    return Problem(
        slug="unknown-job",
        title="Unknown job",
        status=404,
        detail="There is no such job, or its result has expired.",
        job_id=error.job_id,
    )


def _unknown_batch(_: errors.UnknownBatch) -> Problem:
    return Problem(
        slug="unknown-batch",
        title="Unknown batch",
        status=404,
        detail="There is no such batch, or it has expired.",
    )


def _too_many_batches(error: TooManyBatches) -> Problem:
    return Problem(
        slug="too-many-batches",
        title="Too many batches are open",
        status=429,
        detail=f"This token has {error.open_now} of {error.bound} {error.what} open. {AGAIN}",
        retry_after_s=10,
        safe_to_retry=True,
    )


def _upload_lost(_: UploadLost) -> Problem:
    return Problem(
        slug="upload-lost",
        title="The upload was lost",
        status=409,
        detail=f"The same Idempotency-Key began anew, or the queue did not answer for a minute. {AGAIN}",
        safe_to_retry=True,
    )


def _batch_store(_: ArchiveError) -> Problem:
    return Problem(
        slug="batch-store",
        title="The batch store does not answer",
        status=503,
        detail=f"The store that batches are spilled to failed. {AGAIN}",
        retry_after_s=5,
        safe_to_retry=True,
    )


def _not_ready(error: errors.NotReady) -> Problem:
    return Problem(
        slug="not-ready",
        title="Not ready",
        status=503,
        detail=error.reason,
        retry_after_s=1,
        safe_to_retry=True,
    )


def _job_failed(error: errors.JobFailed) -> Problem:
    return failure(error.result)


def _no_reply(error: errors.NoReply) -> Problem:
    return Problem(
        slug="no-reply",
        title="No result in time",
        status=503,
        detail=f"The deadline passed and no worker answered. {AGAIN}",
        job_id=error.job_id,
        retry_after_s=1,
        safe_to_retry=True,
    )


def _lane_full(error: LaneFull) -> Problem:
    # A lane at its bound drains at some hundred jobs per second; a tenth of it is room enough for a retry.
    return Problem(
        slug="lane-full",
        title="Too many jobs are waiting",
        status=429,
        detail=f"The {error.lane} lane holds {error.depth} of {error.bound} jobs. {AGAIN}",
        retry_after_s=max(1, math.ceil(error.bound / 10 / 300)),
        safe_to_retry=True,
    )


def _queue_full(_: BrokerFull) -> Problem:
    return Problem(
        slug="queue-full",
        title="The queue is out of memory",
        status=429,
        detail=f"Redis takes nothing new until jobs are done or results expire. Nothing was queued. {AGAIN}",
        retry_after_s=2,
        safe_to_retry=True,
    )


def _unavailable(_: BrokerUnavailable) -> Problem:
    return Problem(
        slug="queue-unavailable",
        title="The queue does not answer",
        status=503,
        detail=f"Redis did not answer in time. {AGAIN}",
        retry_after_s=2,
        safe_to_retry=True,
    )


def _internal(_: Exception) -> Problem:
    return Problem(
        slug="internal",
        title="Internal error",
        status=500,
        detail=f"Our fault, not the request's. {AGAIN}",
        safe_to_retry=True,
    )


def _parameters(error: RequestValidationError) -> Problem:
    # What a parameter is called comes behind where it stands (`query`).
    found = [one | {"loc": one["loc"][1:]} for one in error.errors()]
    return _invalid(errors.InvalidRequest(faults.told(found)))


def _http(error: HTTPException) -> Problem:
    title, detail = _HTTP_WORDS.get(error.status_code, ("Request refused", "The request cannot be answered."))
    return Problem(
        slug=f"http-{error.status_code}",
        title=title,
        status=error.status_code,
        detail=detail,
        headers=tuple((error.headers or {}).items()),
    )


_HTTP_WORDS = {
    404: ("Not found", "There is nothing at this path; /docs lists what there is."),
    405: ("Wrong method", "This path answers other methods; see the Allow header."),
}

TABLE: Mapping[type[Any], Callable[[Any], Problem]] = {
    errors.InvalidRequest: _invalid,
    errors.TooLarge: _too_large,
    errors.BodyStoodStill: _body_stood_still,
    errors.WrongMediaType: _media_type,
    errors.Unauthorized: _unauthorized,
    errors.ForeignHost: _foreign_host,
    errors.UnknownEnvironment: _unknown_environment,
    errors.UnknownJob: _unknown_job,
    errors.UnknownBatch: _unknown_batch,
    errors.NotReady: _not_ready,
    errors.JobFailed: _job_failed,
    errors.NoReply: _no_reply,
    LaneFull: _lane_full,
    TooManyBatches: _too_many_batches,
    UploadLost: _upload_lost,
    ArchiveError: _batch_store,
    BrokerFull: _queue_full,
    BrokerUnavailable: _unavailable,
    WireError: _internal,
    RequestValidationError: _parameters,
    HTTPException: _http,
    Exception: _internal,
}

_FAILURES: Mapping[Reason, tuple[int, str, str, str]] = {
    Reason.EXPIRED: (503, "expired", "Waited too long", f"No worker was free before the deadline. {AGAIN}"),
    Reason.ATTEMPTS: (500, "attempts", "Workers died", f"Every worker that took this job died. {AGAIN}"),
    Reason.SANDBOX: (500, "sandbox", "The sandbox failed", f"The sandbox failed, not the program. {AGAIN}"),
    Reason.CALLER: (409, "cancelled", "Cancelled", "The job was cancelled before it could run."),
    Reason.SHARED: (503, "shared", "The program is gone", f"The stored program had expired. {AGAIN}"),
    Reason.ENVIRONMENT: (
        422,
        "environment",
        "Not possible there",
        "The environment cannot do what was asked for.",
    ),
}


def failure(result: JobResult) -> Problem:
    """Problem of an `internal` result. Its message was written by a worker of ours, never by the program."""
    status, slug, title, detail = _FAILURES[result.reason or Reason.SANDBOX]
    return Problem(
        slug=slug,
        title=title,
        status=status,
        detail=f"{detail} ({result.message})" if result.message else detail,
        job_id=result.job_id,
        retry_after_s=1 if result.reason is Reason.EXPIRED else None,
        safe_to_retry=result.reason not in (Reason.CALLER, Reason.ENVIRONMENT),
    )
