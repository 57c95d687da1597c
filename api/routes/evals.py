"""`POST /v1/eval` and `POST /`: submit one job and wait for it. The hot path of the service."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypedDict

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from api import waiting
from api.convert import job_of, job_of_text, new_id, response_of
from api.errors import JobFailed, NoReply
from api.openapi import DirectRoute, answers, body
from api.parse import parse, read_body
from api.schemas import EvalRequest, EvalResponse, TextEvalRequest
from api.text import text_of
from jobs.model import Status

if TYPE_CHECKING:
    from fastapi import FastAPI

    from api.settings import ApiSettings
    from jobs.broker import Inbox, Submitter
    from jobs.model import Job, JobResult

GRACE_S = 2.0
"""After the deadline a worker still has to kill the program and answer."""
GONE = Response(status_code=499)
"""Nobody reads it; the number is for the metrics."""


class Identity(TypedDict):
    """What makes a request this job."""

    job_id: str
    now: float
    reply_to: str


class Evals:
    """Endpoints that wait."""

    def __init__(self, settings: ApiSettings, submitter: Submitter, inbox: Inbox) -> None:
        self._settings, self._submitter, self._inbox = settings, submitter, inbox

    def install(self, app: FastAPI) -> None:
        """Add the routes."""
        app.router.add_api_route(
            "/v1/eval",
            self.eval,
            methods=["POST"],
            tags=["evals"],
            summary="Run a program and wait for it",
            description="The connection is the job's life: hang up, and the program is killed.",
            responses=answers(200, EvalResponse, 401, 413, 415, 422, 429, 500, 503),
            openapi_extra=body(EvalRequest),
            route_class_override=DirectRoute,
        )
        app.router.add_api_route(
            "/",
            self.text_eval,
            methods=["POST"],
            tags=["evals"],
            summary="Run a program, get its output as text",
            description="The protocol of the `replit-code-exec` client. Errors are one line of text as well.",
            response_class=PlainTextResponse,
            responses=answers(200, "2\n[evalpool: timed out after 10 s]\n"),
            openapi_extra=body(TextEvalRequest),
            route_class_override=DirectRoute,
        )

    async def eval(self, request: Request) -> Response:
        """JSON in, JSON out."""
        started = time.perf_counter()
        try:
            raw = await read_body(request.scope, request.receive, bound_bytes=self._settings.max_body_bytes)
            job = job_of(parse(EvalRequest, raw), self._settings, **self._fresh())
            result = await self._run(job, request)
        except ClientDisconnect:
            return GONE
        answer = response_of(result, total_ms=(time.perf_counter() - started) * 1000)
        return Response(answer.__pydantic_serializer__.to_json(answer), media_type="application/json")

    async def text_eval(self, request: Request) -> Response:
        """JSON in, text out."""
        try:
            raw = await read_body(request.scope, request.receive, bound_bytes=self._settings.max_body_bytes)
            job = job_of_text(parse(TextEvalRequest, raw), self._settings, **self._fresh())
            result = await self._run(job, request)
        except ClientDisconnect:
            return GONE
        return PlainTextResponse(text_of(job, result))

    def _fresh(self) -> Identity:
        return {"job_id": new_id(), "now": time.time(), "reply_to": self._inbox.id}

    async def _run(self, job: Job, request: Request) -> JobResult:
        """Submit, wait. Raises JobFailed, NoReply, ClientDisconnect, and what submitting raises."""
        future = self._inbox.expect(job.id)  # before the submit: a reply may be here before the submit returns
        try:
            await self._submitter.submit(job)
        except BaseException:
            future.cancel()
            raise
        timeout_s = job.deadline_at - time.time() + GRACE_S
        try:
            result = await waiting.reply(future, request.receive, timeout_s=timeout_s)
        except ClientDisconnect:
            await self._submitter.cancel(job.id)
            raise
        result = result or await self._submitter.result(job.id)
        if result is None:
            await self._submitter.cancel(job.id)
            raise NoReply(job.id)
        if result.status is Status.INTERNAL:
            raise JobFailed(result)
        return result
