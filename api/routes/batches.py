"""`/v1/batches`: many programs in one upload, their results as they come."""

from __future__ import annotations

import asyncio
import math
import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from fastapi import Path, Query
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from api import streaming
from api.batches import lines
from api.batches.body import Body
from api.batches.items import Items
from api.batches.schemas import (
    BatchAccepted,
    BatchItem,
    BatchList,
    BatchRequest,
    BatchView,
    Order,
    ResultLine,
)
from api.batches.views import links_of, shown, view_of
from api.convert import id_of_key, new_id
from api.edge import CALLER
from api.errors import ApiError, BodyStoodStill, FieldError, InvalidRequest, UnknownBatch
from api.openapi import DirectRoute, answers, batch_body, events, json_lines
from api.routes.evals import GONE
from api.routes.jobs import IDEMPOTENCY, idempotency_key
from jobs.batches.model import Batch, Draft
from jobs.batches.results import Results
from jobs.batches.store import Intake
from jobs.errors import JobsError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from enum import Enum

    from fastapi import FastAPI
    from starlette.types import Receive

    from api.batches.desk import Desk
    from api.served import Served
    from api.settings import ApiSettings

MEDIA_TYPE = "application/jsonl"
MAX_PAGE = 100
PROGRESS_S = 0.5
_ID = re.compile(r"[0-9a-f]{32}")
_OWNER_CHARACTERS = 32

BatchId = Annotated[
    str, Path(description="As `POST /v1/batches` gave it.", examples=["5f0c2b8e9d3a4c61b7e8f90a1b2c3d4e"])
]
After = Annotated[
    int, Query(ge=0, le=1 << 31, description="Go on behind this cursor (with `order=input`: behind so many items).")
]
Follow = Annotated[bool, Query(description="While the batch runs, wait for more.")]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="Batches on a page.")]
Before = Annotated[str | None, Query(max_length=40, description="`next` of the page before.")]


class Batches:
    """Endpoints of batches."""

    def __init__(self, settings: ApiSettings, desk: Desk, served: Served) -> None:
        self._settings, self._desk, self._store, self._served = settings, desk, desk.store, served

    def install(self, app: FastAPI) -> None:
        """Add the routes."""
        tags: list[str | Enum] = ["batches"]
        one = "/v1/batches/{batch_id}"
        app.router.add_api_route(
            "/v1/batches",
            self.submit,
            methods=["POST"],
            status_code=202,
            tags=tags,
            summary="Queue many programs",
            responses=answers(202, BatchAccepted, 401, 408, 409, 413, 415, 422, 429, 503),
            openapi_extra=batch_body(BatchRequest, BatchItem) | {"parameters": [IDEMPOTENCY]},
            route_class_override=DirectRoute,
        )
        app.add_api_route(
            "/v1/batches",
            self.list,
            methods=["GET"],
            tags=tags,
            summary="Batches of this token, the newest first",
            responses=answers(200, BatchList, 401, 422, 503),
            response_model=None,
        )
        app.add_api_route(
            one,
            self.view,
            methods=["GET"],
            tags=tags,
            summary="How far a batch is",
            responses=answers(200, BatchView, 401, 404, 422, 503),
            response_model=None,
        )
        app.add_api_route(
            one,
            self.cancel,
            methods=["DELETE"],
            status_code=202,
            tags=tags,
            summary="Cancel a batch",
            description="Running programs are killed, waiting ones are not run. Results so far are kept.",
            responses=answers(202, BatchView, 401, 404, 422, 503),
            response_model=None,
        )
        app.add_api_route(
            f"{one}/results",
            self.results,
            methods=["GET"],
            tags=tags,
            summary="Results as JSON Lines",
            response_class=StreamingResponse,
            responses=json_lines(ResultLine, 401, 404, 422, 503),
            response_model=None,
        )
        app.add_api_route(
            f"{one}/events",
            self.events,
            methods=["GET"],
            tags=tags,
            summary="Progress as server-sent events",
            response_class=StreamingResponse,
            responses=events('event: progress\ndata: {"state": "running", ...}\n\n', 401, 404, 422, 503),
            response_model=None,
        )

    async def submit(self, request: Request) -> Response:
        """202, also for a key that was used before (then with `Idempotent-Replayed: true`)."""
        caller = request.scope[CALLER]
        key = idempotency_key(request)
        batch_id = new_id() if key is None else id_of_key(caller, b"batch\0" + key)
        body = Body(request.scope, request.receive, bound_bytes=self._settings.batch_bytes)
        try:
            if batch := await self._store(batch_id).get(batch_id):
                await body.drain()
                return self._accepted(batch, replayed=True)
            return self._accepted(await self._taken_in(body, caller.hex()[:_OWNER_CHARACTERS], batch_id))
        except ClientDisconnect:
            return GONE
        except (ApiError, JobsError):
            with suppress(ClientDisconnect, BodyStoodStill):  # what the request was refused for stays what it was
                await body.drain()
            raise

    async def _taken_in(self, body: Body, owner: str, batch_id: str) -> Batch:
        room = await self._desk.reserve(owner, batch_id)
        settings = self._settings
        draft = Draft(
            id=batch_id,
            owner=owner,
            created_at=time.time(),
            timeout_s=settings.batch_timeout_s,
            result_ttl_s=settings.result_ttl_s,
            result_bytes=settings.batch_result_bytes,
        )
        intake = await self._store(batch_id).take_in(draft)
        if isinstance(intake, Intake):
            if self._desk.archive is not None:
                await self._desk.owners.archived.put(batch_id, draft.created_at + draft.timeout_s + draft.result_ttl_s)
            try:
                async with intake.kept():
                    await self._fill(intake, Items(body, draft, settings), draft, room)
            except BaseException:
                await self._desk.owners.release(owner, batch_id)
                await intake.give_up()
                raise
        return await self._known(batch_id)

    async def _fill(self, intake: Intake, items: Items, draft: Draft, room: int) -> None:
        owners = self._desk.owners
        async for job in items.jobs():
            await self._served.require(job.environment)
            await intake.add(job)
            if intake.count > room:
                await owners.reserve(draft.owner, draft.id, intake.count)  # raises TooManyBatches
        await owners.reserve(draft.owner, draft.id, intake.count)
        await owners.enter(draft.owner, draft.id, draft.created_at)
        webhook = items.options.webhook
        url = None if webhook is None else webhook.url
        await intake.commit(metadata=items.options.metadata, webhook=url, part=items.shared)
        await self._desk.hand_over(draft.id)

    def _accepted(self, batch: Batch, *, replayed: bool = False) -> Response:
        links = links_of(batch.id)
        accepted = BatchAccepted(id=batch.id, state=batch.state, total=batch.total, links=links)
        headers = {"location": links.self}
        if replayed:
            headers["idempotent-replayed"] = "true"
        return Response(accepted.model_dump_json(), 202, headers, "application/json")

    async def list(self, request: Request, limit: Limit = 20, before: Before = None) -> Response:
        """Those that have not expired."""
        owner = request.scope[CALLER].hex()[:_OWNER_CHARACTERS]
        found = await self._desk.owners.latest(owner, before=_score(before), count=limit)
        batches = await asyncio.gather(*(self._store(batch_id).get(batch_id) for batch_id, _ in found))
        gone = [name for (name, _), batch in zip(found, batches, strict=True) if batch is None]
        await self._desk.owners.forget(owner, gone)
        page = BatchList(
            batches=[view_of(batch) for batch in batches if batch],
            next=repr(found[-1][1]) if len(found) == limit else None,
        )
        return Response(page.model_dump_json(), media_type="application/json")

    async def view(self, batch_id: BatchId) -> Response:
        """At this moment."""
        return Response(shown(view_of(await self._known(batch_id))), media_type="application/json")

    async def cancel(self, batch_id: BatchId) -> Response:
        """End it, if it is open; show what it is then."""
        await self._known(batch_id)
        await self._desk.cancel(batch_id)
        return Response(shown(view_of(await self._known(batch_id))), 202, media_type="application/json")

    async def results(
        self,
        request: Request,
        batch_id: BatchId,
        after: After = 0,
        order: Order = "completion",
        follow: Follow = True,  # noqa: FBT002
    ) -> Response:
        """Those that there are, and with `follow` those to come."""
        await self._known(batch_id)
        await request.body()  # a GET may have one; the connection is watched only behind it
        if order == "input":
            return _Streamed(lines.in_order(Results(self._store(batch_id), batch_id), after))
        follower = self._follower(request, batch_id)
        return _Streamed(lines.as_completed(follower.pieces(after, follow=follow, receive=request.receive)))

    async def events(self, request: Request, batch_id: BatchId) -> Response:
        """`progress` at each change, twice a second at most; `item` for each completion; `end`."""
        await self._known(batch_id)
        await request.body()
        seen = request.headers.get("last-event-id", "")
        cursor = int(seen) if seen.isdecimal() and len(seen) < 10 else 0  # noqa: PLR2004 (a cursor has fewer digits)
        follower = self._follower(request, batch_id)
        return streaming.EventStream(self._events(batch_id, follower, cursor, request.receive))

    def _follower(self, request: Request, batch_id: str) -> lines.Follower:
        state = request.app.state
        return lines.Follower(self._store(batch_id), batch_id, closing=lambda: state.closing)

    async def _events(
        self, batch_id: str, follower: lines.Follower, cursor: int, receive: Receive
    ) -> AsyncGenerator[bytes]:
        told, told_at = b"", 0.0
        async for piece in follower.pieces(cursor, follow=True, receive=receive):
            if piece:
                yield b"".join(map(_item_event, piece))
            silent_s = time.monotonic() - told_at
            if silent_s < PROGRESS_S:
                continue
            if silent_s > streaming.KEEP_ALIVE_S and told:
                told_at = time.monotonic()
                yield streaming.KEEP_ALIVE
            batch = await self._store(batch_id).get(batch_id)
            if batch and (view := shown(view_of(batch, now=batch.finished_at or time.time()))) != told:
                told, told_at = view, time.monotonic()
                yield streaming.event("progress", view)
        if follower.is_through and (batch := await self._store(batch_id).get(batch_id)):
            yield streaming.event("end", shown(view_of(batch)))

    async def _known(self, batch_id: str) -> Batch:
        batch = await self._store(batch_id).get(batch_id) if _ID.fullmatch(batch_id) else None
        if batch is None:
            raise UnknownBatch
        return batch


class _Streamed(StreamingResponse):
    """JSON Lines as they come."""

    def __init__(self, content: AsyncIterator[bytes]) -> None:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(content, headers=headers, media_type=MEDIA_TYPE)


def _item_event(one: Any) -> bytes:
    line = one.line
    data = msgspec.json.encode(
        {"cursor": one.cursor, "index": line.place, "custom_id": line.custom_id, "status": line.status}
    )
    return b"id: %d\n%b" % (one.cursor, streaming.event("item", data))


def _score(before: str | None) -> float:
    if not before:
        return math.inf
    with suppress(ValueError):
        if math.isfinite(score := float(before)):
            return score
    raise InvalidRequest([FieldError("before", "is not the `next` of a page")])
