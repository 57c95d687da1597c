"""A request's head, which comes before any token: bounded in bytes and in time."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from api_fakes import TOKEN, ListeningServer

from api import protocol
from api.app import create_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from api_fakes import FakeBroker

    from api.settings import ApiSettings

MIB = 1 << 20
ASK = b"GET /healthz HTTP/1.1\r\nhost: x\r\n"
ENDLESS = {
    "header": (ASK + b"x: ", b"a" * MIB),
    "headers": (ASK, b"".join(b"x-%d: a\r\n" % n for n in range(50_000))),
    "path": (b"GET /", b"a" * MIB),
}


@asynccontextmanager
async def connected(
    broker: FakeBroker, settings: ApiSettings
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a server of the test's own."""
    chosen = settings.model_copy(update={"port": 0, "drain_delay_s": 0.0})
    server = ListeningServer(create_app(chosen, broker, broker), chosen)
    running = asyncio.create_task(server._serve())
    reader, writer = await asyncio.open_connection("127.0.0.1", await server.listening)
    try:
        yield reader, writer
    finally:
        writer.close()
        server.should_exit = True
        await running


@pytest.mark.parametrize("what", ENDLESS)
async def test_a_head_without_end_is_refused_while_it_comes(
    what: str, broker: FakeBroker, settings: ApiSettings
) -> None:
    begin, piece = ENDLESS[what]
    sent = 0
    async with connected(broker, settings) as (reader, writer):
        writer.write(begin)
        with suppress(ConnectionError):
            while sent < 64 * MIB:
                writer.write(piece)
                await writer.drain()
                sent += len(piece)
        with suppress(ConnectionError):
            assert (await reader.read(1000)).startswith(b"HTTP/1.1 4")

    assert sent < 16 * MIB, "the sockets' buffers, and no more"


async def test_heads_of_an_ordinary_size_and_large_bodies_pass(broker: FakeBroker, settings: ApiSettings) -> None:
    """One after another and at once, cut anywhere."""
    body = json.dumps({"code": "1", "stdin": "x" * MIB}).encode()
    post = b"POST /v1/eval HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %b\r\n" % TOKEN.encode()
    post += b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    large = ASK + b"x: " + b"a" * 40_000 + b"\r\n\r\n"
    requests = (large + post + body) * 3 + ASK + b"connection: close\r\n\r\n"
    async with connected(broker, settings) as (reader, writer):
        for at in range(0, len(requests), 70_000):
            writer.write(requests[at : at + 70_000])
            await writer.drain()
        answers = await reader.read(-1)

    assert answers.count(b"HTTP/1.1 200") == 7


@pytest.mark.parametrize("begin", [b"", ASK, ASK + b"\r\n" + ASK])
async def test_a_head_that_does_not_come_is_not_waited_for(
    begin: bytes, broker: FakeBroker, settings: ApiSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_S", 0.2)
    async with connected(broker, settings) as (reader, writer):
        writer.write(begin)
        said = await asyncio.wait_for(reader.read(-1), 10)

    assert said.count(b"HTTP/1.1") == begin.count(b"\r\n\r\n")
