"""`/v1/jobs`: submit now, ask later. Nothing is held open unless `wait_s` asks for it."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Annotated

from fastapi import Path, Query
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from api import waiting
from api.convert import id_of_key, job_of, new_id, view_of
from api.edge import CALLER
from api.errors import FieldError, InvalidRequest, UnknownJob
from api.openapi import DirectRoute, answers, body
from api.parse import parse, read_body
from api.routes.evals import GONE
from api.schemas import EvalRequest, JobAccepted, JobView, Links
from jobs.model import JobState, Submission

if TYPE_CHECKING:
    from fastapi import FastAPI

    from api.served import Served
    from api.settings import ApiSettings
    from jobs.broker import Inbox, Submitter
    from jobs.model import Job, JobResult

MAX_WAIT_S = 60.0
_KEY = re.compile(rb"[\x21-\x7e]{1,255}")
_ID = re.compile(r"[0-9a-f]{32}")

JobId = Annotated[str, Path(description="As `POST /v1/jobs` gave it.", examples=["5f0c2b8e9d3a4c61b7e8f90a1b2c3d4e"])]
WaitS = Annotated[float, Query(ge=0, le=MAX_WAIT_S, description="Wait so long for the result.", examples=[30])]
IDEMPOTENCY = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "maxLength": 255},
    "description": "The same key and token mean the same job: the first body sent with it is what runs.",
}


class Jobs:
    """Endpoints of asynchronous jobs."""

    def __init__(self, settings: ApiSettings, submitter: Submitter, inbox: Inbox, served: Served) -> None:
        self._settings, self._submitter, self._inbox, self._served = settings, submitter, inbox, served

    def install(self, app: FastAPI) -> None:
        """Add the routes."""
        app.router.add_api_route(
            "/v1/jobs",
            self.submit,
            methods=["POST"],
            status_code=202,
            tags=["jobs"],
            summary="Queue a program",
            responses=answers(202, JobAccepted, 401, 408, 413, 415, 422, 429, 503),
            openapi_extra=body(EvalRequest) | {"parameters": [IDEMPOTENCY]},
            route_class_override=DirectRoute,
        )
        app.add_api_route(
            "/v1/jobs/{job_id}",
            self.view,
            methods=["GET"],
            tags=["jobs"],
            summary="State of a job, and its result once it is done",
            responses=answers(200, JobView, 401, 404, 422, 503),
            response_model=None,
        )
        app.add_api_route(
            "/v1/jobs/{job_id}",
            self.cancel,
            methods=["DELETE"],
            status_code=202,
            tags=["jobs"],
            summary="Cancel a job",
            description="The job ends with status `cancelled`, unless it was done before (see `state`).",
            responses=answers(202, JobView, 401, 404, 422, 503),
            response_model=None,
        )

    async def submit(self, request: Request) -> Response:
        """202, also for a key that was used before (then with `Idempotent-Replayed: true`)."""
        job_id = _job_id(request)
        try:
            raw = await read_body(request.scope, request.receive, bound_bytes=self._settings.max_body_bytes)
        except ClientDisconnect:
            return GONE
        job = self._job(raw, job_id)
        await self._served.require(job.environment)
        submission = await self._submitter.submit(job)
        url = f"/v1/jobs/{job_id}"
        accepted = JobAccepted(id=job_id, links=Links(self=url, wait=f"{url}?wait_s=30"))
        headers = {"location": url}
        if submission is Submission.DUPLICATE:
            headers["idempotent-replayed"] = "true"
        return Response(accepted.model_dump_json(), 202, headers, "application/json")

    def _job(self, raw: bytes, job_id: str) -> Job:
        asked = parse(EvalRequest, raw)
        return job_of(asked, self._settings, job_id=job_id, now=time.time(), reply_to=None)

    async def view(self, request: Request, job_id: JobId, wait_s: WaitS = 0) -> Response:
        """Queued or done. Hanging up ends the wait, not the job."""
        result = await self._submitter.result(job_id) if _ID.fullmatch(job_id) else None
        if result is None:
            await self._known(job_id)
        if result is None and wait_s:
            try:
                result = await self._wait(request, job_id, wait_s)
            except ClientDisconnect:
                return GONE
        return _shown(view_of(job_id, result))

    async def _wait(self, request: Request, job_id: str, wait_s: float) -> JobResult | None:
        await request.body()  # a GET may have one; the connection is watched only behind it
        return await waiting.reply(await self._inbox.watch(job_id), request.receive, timeout_s=wait_s)

    async def cancel(self, job_id: JobId) -> Response:
        """Tell the workers, and say what the job was at that moment."""
        state = await self._known(job_id)
        if state is JobState.QUEUED:
            await self._submitter.cancel(job_id)
        return _shown(JobView(id=job_id, state=state), status=202)

    async def _known(self, job_id: str) -> JobState:
        state = await self._submitter.state(job_id) if _ID.fullmatch(job_id) else None
        if state is None:
            raise UnknownJob(job_id[:64])
        return state


def _shown(view: JobView, status: int = 200) -> Response:
    return Response(view.model_dump_json(exclude_none=False), status, media_type="application/json")


def _job_id(request: Request) -> str:
    key = idempotency_key(request)
    return new_id() if key is None else id_of_key(request.scope[CALLER], key)


def idempotency_key(request: Request) -> bytes | None:
    """Key that the caller sent, if any. Raises InvalidRequest."""
    key: bytes | None = next((value for name, value in request.scope["headers"] if name == b"idempotency-key"), None)
    if key is not None and not _KEY.fullmatch(key):
        raise InvalidRequest([FieldError("Idempotency-Key", "must be 1 to 255 printable ASCII characters")])
    return key
