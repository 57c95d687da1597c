"""The application, put together. Importing this module, and calling `create_app`, does no work."""

from __future__ import annotations

from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Match, Route

from api import problems
from api.auth import Gate
from api.batches.desk import Desk
from api.complaints import Complaints
from api.edge import Edge, wants_text
from api.openapi import describe
from api.routes import docs
from api.routes.batches import Batches
from api.routes.evals import Evals
from api.routes.jobs import Jobs
from api.routes.judge import Judge
from api.routes.meta import Meta
from api.served import Served

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute
    from starlette.types import Scope

    from api.settings import ApiSettings
    from jobs.broker import OpenableInbox, Submitter


def create_app(settings: ApiSettings, submitter: Submitter, inbox: OpenableInbox) -> FastAPI:
    """Put the app together. Its lifespan opens the inbox.

    `app.state.draining` turns /readyz off, `app.state.closing` sends off who follows a batch.
    """
    desk, complaints = Desk(settings), Complaints()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with inbox, desk:
            yield

    async def answer(request: Request, error: Exception) -> Response:
        complaints.hear(error)
        if isinstance(error, HTTPException) and error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            error.headers = {"Allow": ", ".join(_methods(app.routes, request.scope))}
        return problems.response(problems.problem_of(error), as_text=wants_text(request.scope))

    app = FastAPI(
        title="Evalpool",
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        middleware=[Middleware(Edge, gate=Gate(settings.tokens))],
        exception_handlers=dict.fromkeys(problems.TABLE, answer),
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
    )
    app.state.draining = app.state.closing = False
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]
    served = Served(submitter)
    Evals(settings, submitter, inbox, served).install(app)
    Jobs(settings, submitter, inbox, served).install(app)
    Batches(settings, desk, served).install(app)
    Judge(settings, submitter, inbox, served).install(app)
    Meta(submitter, desk).install(app)
    docs.install(app)
    return app


def _methods(routes: Iterable[BaseRoute], scope: Scope) -> list[str]:
    """What the path answers. Each route knows its own methods only, and several may share a path."""
    there = [route for route in routes if isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE]
    methods = {method for route in there for method in route.methods or ()}
    return sorted(methods | ({"HEAD"} if "GET" in methods else set()))
