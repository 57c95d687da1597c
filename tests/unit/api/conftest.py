from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx2
import pytest
from api_fakes import TOKEN, FakeBroker, ListeningServer
from pydantic import SecretStr

from api.app import create_app
from api.settings import ApiSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager


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
def client_of(broker: FakeBroker) -> Callable[[ApiSettings], httpx2.AsyncClient]:
    def client(settings: ApiSettings) -> httpx2.AsyncClient:
        transport = httpx2.ASGITransport(create_app(settings, broker, broker))
        headers = {"authorization": f"Bearer {TOKEN}"}
        return httpx2.AsyncClient(transport=transport, base_url="http://api", headers=headers)

    return client


@pytest.fixture
async def client(
    settings: ApiSettings, client_of: Callable[[ApiSettings], httpx2.AsyncClient]
) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(settings) as client:
        yield client


@pytest.fixture
def served(broker: FakeBroker, settings: ApiSettings) -> Callable[[], AbstractAsyncContextManager[int]]:
    """Serve the app on a loopback port by the real server; gives the port."""

    @asynccontextmanager
    async def serve() -> AsyncIterator[int]:
        chosen = settings.model_copy(update={"port": 0})
        server = ListeningServer(create_app(chosen, broker, broker), chosen)
        running = asyncio.create_task(server._serve())
        yield await server.listening
        server.should_exit = True
        await running

    return serve
