"""Waiting for what `up` starts: patient with what lives, and quick with what cannot work."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from redis.asyncio import Redis

from evalctl import arrival
from evalctl.guards import UpError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conftest import ValkeyServer

LOADING = b"-LOADING Valkey is loading the dataset in memory\r\n"
HALFWAY = b"loading:1\r\nloading_loaded_perc:47.11\r\n"


class LoadingServer:
    """Reads its data back for so many PINGs; then it answers."""

    def __init__(self, pings: int) -> None:
        self._left = pings

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while words := await _command(reader):
            writer.write(self._answer(words))
        writer.close()

    def _answer(self, words: list[bytes]) -> bytes:
        if words[0] == b"HELLO":
            return b"%1\r\n+proto\r\n:3\r\n"
        if words[0] == b"INFO":
            return b"$%d\r\n%s\r\n" % (len(HALFWAY), HALFWAY)
        if words[0] != b"PING":
            return b"-ERR unknown command\r\n"
        self._left -= 1
        return LOADING if self._left >= 0 else b"+PONG\r\n"


async def _command(reader: asyncio.StreamReader) -> list[bytes]:
    words: list[bytes] = []
    for _ in range(int((await reader.readline()).strip()[1:] or 0)):
        size = int((await reader.readline())[1:])
        words.append((await reader.readexactly(size + 2))[:-2].upper())
    return words


@asynccontextmanager
async def loading(folder: Path, pings: int) -> AsyncIterator[str]:
    socket_path = str(folder / "s")
    async with await asyncio.start_unix_server(LoadingServer(pings).serve, socket_path):
        yield f"unix://{socket_path}"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrival, "_SILENCE_S", 0.0)


@pytest.mark.usefixtures("impatient")
async def test_a_redis_that_reads_its_data_back_is_waited_for_and_that_is_said(tmp_path: Path) -> None:
    """After 20 s it was stopped, so that each start began anew: such a server could never be started again."""
    said: list[str] = []
    async with loading(tmp_path, pings=5) as url:
        await arrival.redis_answers(url, log=Path("valkey.log"), report=said.append)

    assert said == ["redis reads its data back (47 % so far); its log is valkey.log"]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("log", [None, Path("valkey.log")])
async def test_a_redis_that_is_not_there_is_not_waited_for(tmp_path: Path, log: Path | None) -> None:
    with pytest.raises(UpError, match=r"^redis does not answer: "):
        await arrival.redis_answers(f"unix://{tmp_path}/nobody", log=log, report=print)


async def test_coordinators_are_there_when_rq_knows_their_processes(valkey: ValkeyServer) -> None:
    """A killed one is in RQ's register for minutes: it counts for none that is to start."""
    valkey.client.flushall()
    async with Redis.from_url(valkey.url) as redis:
        await register(redis, "killed", pid=1)
        await register(redis, "elsewhere", pid=os.getpid(), host="another machine")
        waiting = asyncio.create_task(arrival.coordinators_work(valkey.url, lambda: [os.getpid()]))
        assert await asyncio.wait({waiting}, timeout=0.5) == (set(), {waiting})
        await register(redis, "ours", pid=os.getpid())
        await asyncio.wait_for(waiting, 30)


async def test_coordinators_that_do_not_come_are_missed(valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    valkey.client.flushall()
    monkeypatch.setattr(arrival, "_READY_S", 0.2)
    with pytest.raises(UpError, match="coordinators of batches did not start"):
        await arrival.coordinators_work(valkey.url, lambda: [os.getpid(), None])


async def register(redis: Redis, name: str, *, pid: int, host: str = socket.gethostname()) -> None:
    await redis.hset(f"rq:worker:{name}", mapping={"pid": pid, "hostname": host})
    await redis.sadd("rq:workers:batches", f"rq:worker:{name}")


async def test_rq_reads_the_address_of_an_ordinary_server(valkey: ValkeyServer) -> None:
    await arrival.rq_can_read(valkey.url)
    await arrival.rq_can_read(f"unix://{quote('/no such')}")
