from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx2
import pytest
from api_fakes import FakeBroker
from pydantic import SecretStr

from api.app import create_app
from api.server import Server
from api.settings import ApiSettings

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from fastapi import FastAPI

TOKEN = "s3cret-token"


@pytest.fixture(autouse=True)
def _no_outside_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ApiSettings.model_fields:
        monkeypatch.delenv(f"EVAL_{name.upper()}", raising=False)


@pytest.fixture
def broker() -> FakeBroker:
    return FakeBroker()


@pytest.fixture
def settings() -> ApiSettings:
    return ApiSettings(token_auth=SecretStr(f"other, {TOKEN}"))


@pytest.fixture
async def client(broker: FakeBroker, settings: ApiSettings) -> AsyncIterator[httpx2.AsyncClient]:
    app = create_app(settings, broker, broker)
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://api", headers={"authorization": f"Bearer {TOKEN}"}
    ) as client:
        yield client


class _Server(Server):
    def __init__(self, app: FastAPI, settings: ApiSettings) -> None:
        super().__init__(app, settings)
        self.listening: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set_result(self.servers[0].sockets[0].getsockname()[1])


@pytest.fixture
def served(broker: FakeBroker, settings: ApiSettings) -> Callable[[], AbstractAsyncContextManager[int]]:
    """Serve the app on a loopback port by the real server; gives the port."""

    @asynccontextmanager
    async def serve() -> AsyncIterator[int]:
        chosen = settings.model_copy(update={"port": 0})
        server = _Server(create_app(chosen, broker, broker), chosen)
        running = asyncio.create_task(server._serve())
        yield await server.listening
        server.should_exit = True
        await running

    return serve
