"""What comes before any token, bounded in bytes and in time; idle connections; offers of other protocols."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from api_fakes import TOKEN, ListeningServer, printed

from api import edge, protocol
from api.app import create_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from api_fakes import FakeBroker

    from api.settings import ApiSettings

MIB = 1 << 20
PATIENCE_S = 30
"""So long a test waits for what comes within a second, unless the machine is busy."""
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
        said = await asyncio.wait_for(reader.read(-1), PATIENCE_S)

    assert said.count(b"HTTP/1.1") == begin.count(b"\r\n\r\n")


async def test_line_ends_after_a_request_do_not_hold_a_connection(
    broker: FakeBroker, settings: ApiSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They begin no head, and once stopped every clock."""
    monkeypatch.setattr(protocol, "HEAD_S", 0.2)
    async with connected(broker, settings) as (reader, writer):
        writer.write(ASK + b"\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        await dripped(writer, b"\r\n", until_closed=reader)


def post(body: bytes, *headers: bytes, token: str = TOKEN) -> bytes:
    lines = (
        b"POST /v1/eval HTTP/1.1",
        b"Host: x",
        b"Authorization: Bearer %b" % token.encode(),
        b"Content-Type: application/json",
        b"Content-Length: %d" % len(body),
        *headers,
    )
    return b"\r\n".join([*lines, b"", body])


async def dripped(writer: asyncio.StreamWriter, drop: bytes, *, until_closed: asyncio.StreamReader) -> None:
    """Send a drop now and then until the other side hangs up."""
    closed = asyncio.create_task(until_closed.read(-1))
    async with asyncio.timeout(PATIENCE_S):
        while not closed.done():
            with suppress(ConnectionError):
                writer.write(drop)
                await writer.drain()
            await asyncio.wait((closed,), timeout=0.05)
    with suppress(ConnectionError):
        await closed


OFFERS = {
    "curl": (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"),
    "kept": (b"Connection: keep-alive, upgrade", b"Upgrade: h2c"),
    "websocket": (b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13"),
}


@pytest.mark.parametrize("size", [1 << 20, 7])
@pytest.mark.parametrize("offer", OFFERS)
async def test_an_offer_of_another_protocol_is_ignored(
    offer: str, size: int, broker: FakeBroker, settings: ApiSettings, caplog: pytest.LogCaptureFixture
) -> None:
    """The body was dropped once, and the answer 422. However it is cut, and what follows is read as well."""
    asked = post(b'{"code": "print(1)"}', *OFFERS[offer]) + ASK + b"\r\n".join(OFFERS[offer]) + b"\r\n\r\n"
    asked += post(b'{"code": "print(2)"}', b"Connection: close, Upgrade", b"Upgrade: h2c")
    async with connected(broker, settings) as (reader, writer):
        for at in range(0, len(asked), size):
            writer.write(asked[at : at + size])
            await writer.drain()
            await asyncio.sleep(0)
        answers = await asyncio.wait_for(reader.read(-1), PATIENCE_S)

    assert answers.count(b"HTTP/1.1 200") == answers.count(b"HTTP/1.1") == 3
    assert [job.code for job in broker.submitted.values()] == ["print(1)", "print(2)"]
    assert "pgrade" not in caplog.text


async def test_a_tunnel_is_refused(broker: FakeBroker, settings: ApiSettings) -> None:
    async with connected(broker, settings) as (reader, writer):
        writer.write(b"CONNECT x:1 HTTP/1.1\r\nhost: x:1\r\n\r\nmore")
        said = await asyncio.wait_for(reader.read(-1), PATIENCE_S)

    assert said.startswith(b"HTTP/1.1 400")


async def test_who_has_no_token_does_not_hold_a_connection_by_a_body(
    broker: FakeBroker, settings: ApiSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "UNREAD_S", 0.3)
    async with connected(broker, settings) as (reader, writer):
        writer.write(post(b"", token="wrong").replace(b"Length: 0", b"Length: 1000000000"))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 401")
        await dripped(writer, b"x", until_closed=reader)


async def test_what_nobody_reads_is_bounded_in_bytes(
    broker: FakeBroker, settings: ApiSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "UNREAD_BYTES", MIB)
    sent = 0
    async with connected(broker, settings) as (reader, writer):
        writer.write(post(b"", token="wrong").replace(b"Length: 0", b"Length: 1000000000"))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 401")
        with suppress(ConnectionError):
            while sent < 64 * MIB:
                writer.write(b"x" * MIB)
                await writer.drain()
                sent += MIB

    assert sent < 32 * MIB, "what is sent, the sockets' buffers, and no more"


async def test_who_sends_everything_first_reads_the_refusal_and_may_go_on(
    broker: FakeBroker, settings: ApiSettings
) -> None:
    """And is kept no longer than others."""
    chosen = settings.model_copy(update={"keep_alive_s": 1})
    async with connected(broker, chosen) as (reader, writer):
        for _ in range(2):
            writer.write(post(b"x" * 8 * MIB, token="wrong"))
            await writer.drain()
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 401")
            await reader.readuntil(b"}")
        writer.write(ASK + b"\r\n")
        assert (await asyncio.wait_for(reader.read(-1), PATIENCE_S)).startswith(b"HTTP/1.1 200")
    assert not broker.submitted


@pytest.mark.parametrize("begin", [b"", b'{"code": '])
async def test_a_body_that_stands_still_is_refused(
    begin: bytes, broker: FakeBroker, settings: ApiSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge, "BODY_S", 0.3)
    async with connected(broker, settings) as (reader, writer):
        writer.write(post(b"x" * 100)[:-100] + begin)
        head, _, said = (await asyncio.wait_for(reader.read(-1), PATIENCE_S)).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 408")
    assert b"connection: close" in head
    assert json.loads(said)["type"] == "urn:evalpool:problem:body-stood-still"


async def test_a_body_that_comes_slowly_is_taken(
    broker: FakeBroker, settings: ApiSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer in all than it may stand still; and the program may take longer than that as well."""
    monkeypatch.setattr(edge, "BODY_S", 2.0)
    body = b'{"code": "1"}'
    submitted = asyncio.Event()
    broker.answer = lambda _: submitted.set()
    async with connected(broker, settings) as (reader, writer):
        writer.write(post(body)[: -len(body)])
        for at in range(0, len(body), 2):
            writer.write(body[at : at + 2])
            await asyncio.sleep(0.35)
        await asyncio.wait_for(submitted.wait(), PATIENCE_S)
        await asyncio.sleep(2.3)
        broker.finish(printed(broker.last))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")


async def test_an_idle_connection_is_kept_as_long_as_is_set(broker: FakeBroker, settings: ApiSettings) -> None:
    """Longer than proxies keep theirs: one that is closed as the proxy sends on it is a 502."""
    assert settings.keep_alive_s > 60
    chosen = settings.model_copy(update={"keep_alive_s": 1})
    async with connected(broker, chosen) as (reader, writer):
        writer.write(ASK + b"\r\n")
        assert (await asyncio.wait_for(reader.read(-1), PATIENCE_S)).startswith(b"HTTP/1.1 200")
