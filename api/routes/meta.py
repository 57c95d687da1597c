"""What operators and machines ask: alive, ready, metrics, environments."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.requests import Request  # noqa: TC002 (FastAPI reads the annotations)
from starlette.responses import PlainTextResponse, Response

from api import metrics
from api.errors import NotReady
from api.openapi import DirectRoute, answers
from api.schemas import Environment, Environments, Health
from jobs.errors import BrokerUnavailable
from jobs.model import EnvironmentInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from typing import Any

    from fastapi import FastAPI
    from pydantic import BaseModel

    from api.batches.desk import Desk
    from jobs.broker import Submitter
    from jobs.model import WorkerInfo

_PATIENCE_S = 2.0
"""Of a scrape with Redis, whose own retries take longer; a scraper that comes every 5 s waits no longer than that."""
_PUBLIC: dict[str, Any] = {"security": []}


class Meta:
    """Endpoints about the service itself."""

    def __init__(self, submitter: Submitter, desk: Desk) -> None:
        self._submitter, self._desk = submitter, desk
        self._asking: asyncio.Task[bool] | None = None

    def install(self, app: FastAPI) -> None:
        """Add the routes."""
        _get(app, "/healthz", self.healthz, "Does the process live?", answers(200, Health))
        _get(app, "/readyz", self.readyz, "Can it run programs?", answers(200, Health, 503))
        _get(app, "/metrics", self.metrics, "For Prometheus", answers(200, "evalpool_broker_up 1.0\n"))
        _get(
            app,
            "/v1/environments",
            self.environments,
            "Where programs can run",
            answers(200, Environments, 401, 503),
        )

    async def healthz(self, _: Request) -> Response:
        """Touches nothing but the event loop."""
        return _shown(Health(status="ok"))

    async def readyz(self, request: Request) -> Response:
        """Redis answers (of several: one), a worker lives, and this process is not leaving."""
        if request.app.state.draining:
            raise NotReady("This process is shutting down.")
        away = await self._submitter.unreachable()
        if not await self._submitter.workers():
            raise NotReady("No worker has announced itself in the last seconds.")
        # Still ready: the other shards' jobs must not lose their way in.
        return _shown(Health(status="degraded", unreachable=list(away)) if away else Health(status="ready"))

    async def metrics(self, _: Request) -> Response:
        """Lane gauges are asked for now; without Redis the scrape still works, in time, and says so."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        await asyncio.wait((self._asking,), timeout=_PATIENCE_S)
        metrics.BROKER_UP.set(self._asking.done() and self._asking.result())
        return Response(generate_latest(), headers={"content-type": CONTENT_TYPE_PLAIN_0_0_4})

    async def _ask(self) -> bool:
        """Set what Redis knows; whether it answered."""
        try:
            began = time.perf_counter()
            metrics.SHARDS_UNREACHABLE.set(len(await self._submitter.unreachable()))
            metrics.REDIS_SECONDS.observe(time.perf_counter() - began)
            metrics.show_lanes(await self._submitter.lane_stats())
            metrics.BATCH_WAITING.set(await self._desk.waiting())
            metrics.WORKERS.set(len(await self._submitter.workers()))
            metrics.DEAD.set(await self._submitter.dead_letters())
        except BrokerUnavailable:
            return False
        return True

    async def environments(self, _: Request) -> Response:
        """Sum over the workers that live."""
        workers = await self._submitter.workers()
        names = sorted({name for worker in workers for name in worker.environments})
        offered = [_offered(name, [worker for worker in workers if name in worker.environments]) for name in names]
        return _shown(Environments(environments=offered))


def _offered(name: str, workers: Sequence[WorkerInfo]) -> Environment:
    """Show one environment; where workers differ (it is being switched), the first one's word counts."""
    said = [worker.about.get(name, EnvironmentInfo()) for worker in workers]
    return Environment.model_validate({
        "name": name,
        "kind": said[0].kind,
        "filename": said[0].filename,
        "command": list(said[0].command),
        "digests": sorted({one.digest for one in said if one.digest}),
        "workers": len(workers),
        "slots": sum(worker.slots for worker in workers),
        "served_by": [worker.id for worker in workers],
    })


def _get(
    app: FastAPI,
    path: str,
    endpoint: Callable[[Request], Coroutine[Any, Any, Response]],
    summary: str,
    responses: dict[int | str, dict[str, Any]],
) -> None:
    text = "text/plain" in responses[200]["content"]
    app.router.add_api_route(
        path,
        endpoint,
        methods=["GET"],
        tags=["service"],
        summary=summary,
        responses=responses,
        response_class=PlainTextResponse if text else Response,
        openapi_extra=None if path.startswith("/v1/") else _PUBLIC,
        route_class_override=DirectRoute,
    )


def _shown(model: BaseModel) -> Response:
    return Response(model.model_dump_json(), media_type="application/json")
