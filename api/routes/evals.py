"""`POST /v1/eval` and `POST /`: submit one job and wait for it. The hot path of the service."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypedDict

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from api import metrics, problems, streaming, waiting
from api.convert import job_of, job_of_text, new_id, response_of
from api.edge import PROGRAM_S, report
from api.errors import JobFailed, NoReply
from api.openapi import DirectRoute, also_events, answers, body, text_answers
from api.parse import parse, read_body
from api.schemas import EvalRequest, EvalResponse, TextEvalRequest
from api.text import text_of
from api.waiting import GRACE_S
from jobs.model import Status

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncGenerator

    from fastapi import FastAPI

    from api.served import Served
    from api.settings import ApiSettings
    from jobs.broker import Inbox, Submitter
    from jobs.model import Job, JobResult

GONE = Response(status_code=499)
"""Nobody reads it; the number is for the metrics."""
_DESCRIPTION = """The connection is the job's life: hang up, and the program is killed. Each send is a run of its own:
`Idempotency-Key` has no effect here, but on `/v1/jobs` and `/v1/batches`.

With `Accept: text/event-stream` the answer is server-sent events: `stdout` and `stderr` as the program prints (each
a JSON string), then `result` (the document below) or `error` (a problem document). `restart` says that the program
was started again, and voids the output so far. What is refused before it is queued is a plain problem."""
_EVENTS = 'event: stdout\ndata: "2\\n"\n\nevent: result\ndata: {"id": "5f0c2b8e", "status": "ok", ...}\n\n'


class Identity(TypedDict):
    """What makes a request this job."""

    job_id: str
    now: float
    reply_to: str


class Evals:
    """Endpoints that wait."""

    def __init__(self, settings: ApiSettings, submitter: Submitter, inbox: Inbox, served: Served) -> None:
        self._settings, self._submitter, self._inbox, self._served = settings, submitter, inbox, served

    def install(self, app: FastAPI) -> None:
        """Add the routes."""
        app.router.add_api_route(
            "/v1/eval",
            self.eval,
            methods=["POST"],
            tags=["evals"],
            summary="Run a program and wait for it",
            description=_DESCRIPTION,
            responses=also_events(answers(200, EvalResponse, 401, 408, 409, 413, 415, 422, 429, 500, 503), _EVENTS),
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
            responses=text_answers(
                "2\n[evalpool: timed out after 10 s]\n", 401, 408, 409, 413, 415, 422, 429, 500, 503
            ),
            openapi_extra=body(TextEvalRequest),
            route_class_override=DirectRoute,
        )

    async def eval(self, request: Request) -> Response:
        """JSON in, JSON or events out."""
        started = time.perf_counter()
        try:
            raw = await read_body(request.scope, request.receive, bound_bytes=self._settings.max_body_bytes)
            stream = streaming.wanted(request.scope["headers"])
            job = job_of(parse(EvalRequest, raw), self._settings, stream=stream, **self._fresh())
            if stream:
                return await self._streamed(job, request, started)
            result = await self._run(job, request)
        except ClientDisconnect:
            return GONE
        return Response(_json(result, started), media_type="application/json")

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
        await self._served.require(job.environment)
        future = self._inbox.expect(job.id)  # before the submit: a reply may be here before the submit returns
        await self._submit(job, future)
        try:
            result = await waiting.reply(future, request.receive, timeout_s=_timeout_s(job))
        except ClientDisconnect:
            await self._submitter.cancel(job.id)
            raise
        return await self._concluded(job, result, request)

    async def _streamed(self, job: Job, request: Request, started: float) -> Response:
        """Submit; the answer waits. Raises what submitting raises."""
        await self._served.require(job.environment)
        feed = streaming.Feed()
        future = self._inbox.follow(job.id, feed.put)
        await self._submit(job, future)
        return streaming.EventStream(self._events(job, feed, future, request, started))

    async def _events(
        self, job: Job, feed: streaming.Feed, future: asyncio.Future[JobResult], request: Request, started: float
    ) -> AsyncGenerator[bytes]:
        try:
            async for events in feed.events(future, request.receive, timeout_s=_timeout_s(job)):
                yield events
            result = await self._concluded(job, waiting.settled(future), request)
            yield feed.rest(result) + streaming.event("result", _json(result, started))
        except ClientDisconnect:
            await self._submitter.cancel(job.id)
        except Exception as error:  # noqa: BLE001 (the status line is out: this is the last resort)
            problem = problems.problem_of(error)
            if problem.status == 500:  # noqa: PLR2004
                report(request.scope, error)
            metrics.problems(problem.slug).inc()
            yield streaming.event("error", msgspec.json.encode(problems.document(problem)))
        finally:
            future.cancel()

    async def _submit(self, job: Job, future: asyncio.Future[JobResult]) -> None:
        try:
            await self._submitter.submit(job)
        except BaseException:
            future.cancel()
            raise

    async def _concluded(self, job: Job, result: JobResult | None, request: Request) -> JobResult:
        """Conclude a wait that is over; without a reply the job is cancelled. Raises JobFailed, NoReply."""
        if result is None:
            await self._submitter.cancel(job.id)
            raise NoReply(job.id)
        if result.status is Status.INTERNAL:
            raise JobFailed(result)
        request.scope[PROGRAM_S] = result.wall_ms / 1000
        return result


def _timeout_s(job: Job) -> float:
    return job.deadline_at - time.time() + GRACE_S


def _json(result: JobResult, started: float) -> bytes:
    answer = response_of(result, total_ms=(time.perf_counter() - started) * 1000)
    return answer.__pydantic_serializer__.to_json(answer)
