"""The outermost layer, plain ASGI: path, gate, measure, last resort. Closed but for the public paths.

A body that somebody waits for comes, or stands still for `BODY_S` at most.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from typing import TYPE_CHECKING, Final

import structlog

from api import metrics, problems
from api.errors import BodyStoodStill
from api.heads import Heads

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from api.auth import Gate

CALLER = "evalpool.caller"
"""Scope key: the digest that stands for who asks."""
PROGRAM_S = "evalpool.program_s"
"""Scope key of a single eval that came to its verdict: seconds that its program took."""
WHOLE = "evalpool.whole"
"""Scope key: the body is there already, so that waiting for it need not be bounded."""
BODY_S: Final = 60.0
"""Longest that a body may stand still."""
_PUBLIC = frozenset({"/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"})
_NOSNIFF = (b"x-content-type-options", b"nosniff")

log = structlog.get_logger("api")


class Edge:
    """ASGI middleware around the whole app."""

    def __init__(self, app: ASGIApp, *, gate: Gate, clock: Callable[[], float] = time.perf_counter) -> None:
        self._app, self._heads, self._gate, self._clock = app, Heads(app), gate, clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request. Never raises: what nobody handled becomes a 500."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = self._clock(), 0

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], _NOSNIFF]
            await send(message)

        metrics.IN_FLIGHT.inc()
        try:
            self._enter(scope)
            app = self._heads if scope["method"] == "HEAD" else self._app
            await app(scope, receive if WHOLE in scope else _bounded(receive), observed)
        except Exception as error:  # noqa: BLE001 (the last resort)
            problem = problems.problem_of(error)
            if problem.status == 500:  # noqa: PLR2004
                report(scope, error)
            if not status:
                await problems.response(problem, as_text=wants_text(scope))(scope, receive, observed)
        finally:
            metrics.IN_FLIGHT.dec()
            route = getattr(scope.get("route"), "path", "other")
            took_s = self._clock() - started
            metrics.request_seconds(route, status // 100).observe(took_s)
            if (program_s := scope.get(PROGRAM_S)) is not None:
                metrics.OVERHEAD_SECONDS.observe(max(0.0, took_s - program_s))

    def _enter(self, scope: Scope) -> None:
        path = scope["path"]
        if path.endswith("/") and path != "/":
            path = scope["path"] = path.rstrip("/") or "/"
        if path not in _PUBLIC and not path.startswith("/docs/"):
            scope[CALLER] = self._gate.admit(scope["headers"])


def _bounded(receive: Receive) -> Receive:
    """Pass messages on. Raises BodyStoodStill; once the body is over, waits for as long as it takes."""
    is_over = False

    async def bounded() -> Message:
        nonlocal is_over
        if is_over:
            return await receive()
        try:
            async with asyncio.timeout(BODY_S):
                message = await receive()
        except TimeoutError:
            raise BodyStoodStill(BODY_S) from None
        is_over = not message.get("more_body", False)
        return message

    return bounded


def wants_text(scope: Scope) -> bool:
    """`POST /` is read as text by a model, whatever happens."""
    return bool(scope["path"] == "/")


def report(scope: Scope, error: Exception) -> None:
    """Log what went wrong on our side."""
    # Neither the error's text nor its locals: both may hold the program.
    frames = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
    log.error("request_failed", path=scope["path"], error=type(error).__name__, frames=frames[-8:])
