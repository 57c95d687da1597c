"""The outermost layer, plain ASGI: path, gate, measure, last resort. Closed but for the public paths."""

from __future__ import annotations

import time
import traceback
from typing import TYPE_CHECKING

import structlog

from api import metrics, problems
from api.heads import Heads

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from api.auth import Gate

CALLER = "evalpool.caller"
"""Scope key: the digest that stands for who asks."""
PROGRAM_S = "evalpool.program_s"
"""Scope key of a single eval that came to its verdict: seconds that its program took."""
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
            await app(scope, receive, observed)
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


def wants_text(scope: Scope) -> bool:
    """`POST /` is read as text by a model, whatever happens."""
    return bool(scope["path"] == "/")


def report(scope: Scope, error: Exception) -> None:
    """Log what went wrong on our side."""
    # Neither the error's text nor its locals: both may hold the program.
    frames = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
    log.error("request_failed", path=scope["path"], error=type(error).__name__, frames=frames[-8:])
