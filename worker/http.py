"""The worker's own small HTTP door: /metrics, /healthz, /readyz. For operators, not for callers."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from prometheus_client import CollectorRegistry
    from starlette.requests import Request


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals to the lifecycle."""
        yield


def server(registry: CollectorRegistry, not_ready: Callable[[], str], *, host: str, port: int) -> uvicorn.Server:
    """Server for the three routes; `not_ready` gives a reason, or "" when the worker serves."""

    # All of them on the loop: what they look at changes there, and no thread would see it whole.
    async def metrics(_: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        reason = not_ready()
        return PlainTextResponse(f"{reason or 'ok'}\n", 503 if reason else 200)

    routes = [Route("/metrics", metrics), Route("/healthz", healthz), Route("/readyz", readyz)]
    config = uvicorn.Config(
        Starlette(routes=routes), host=host, port=port, log_config=None, access_log=False, lifespan="off"
    )
    return _Server(config)
