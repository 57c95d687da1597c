"""What the short way to Redis must not lose of the long one."""

from __future__ import annotations

import asyncio
import signal
import socket

import pytest
import uvloop
from link import Link
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from jobs.pool import NoMasterError, Pool

OPTIONS = {"socket_timeout": 3, "timeout": 3, "health_check_interval": 15, "retry": Retry(NoBackoff(), 1)}


@pytest.fixture
async def client_of(valkey):
    """Client of the test's server over so many connections."""
    clients = []

    def make(size, url=valkey.url, **options):
        client = Redis.from_pool(Pool.from_url(url, **{**OPTIONS, "max_connections": size, **options}))
        clients.append(client)
        return client

    yield make
    for client in clients:
        await client.aclose()


@pytest.mark.parametrize("size", [0, 1, 65_000, 70_000, 3_000_000])
async def test_what_is_sent_arrives(client_of, size):
    client = client_of(1)
    assert await client.echo(b"\r\n" * (size // 2)) == b"\r\n" * (size // 2)
    assert await client.execute_command("CONFIG GET", "maxmemory")  # a name of two words
    assert await client.execute_command("SET", "pool", 17, "PX", memoryview(b"1000"))


async def test_connections_are_used_again_and_no_more_than_were_allowed(client_of):
    client = client_of(3)
    ids = [await client.client_id() for _ in range(5)]
    assert len(set(ids)) == 1

    ids = await asyncio.gather(*(client.client_id() for _ in range(200)))
    assert 1 < len(set(ids)) <= 3


async def test_who_waits_in_line_has_its_turn_or_is_told(client_of):
    client = client_of(1, timeout=0.2)
    hold = asyncio.create_task(client.blpop(["pool-nothing"], timeout=1))
    await asyncio.sleep(0.3)
    with pytest.raises(RedisConnectionError, match="No connection available"):
        await client.ping()
    await hold

    patient = client_of(1)
    holds = [asyncio.create_task(patient.blpop(["pool-nothing"], timeout=0.1)) for _ in range(3)]
    assert await patient.ping()
    assert await asyncio.gather(*holds) == [None] * 3


async def test_a_connection_that_was_cut_is_replaced(client_of):
    client, other = client_of(1), client_of(1)
    for _ in range(3):
        await other.client_kill_filter(_id=str(await client.client_id()))
        assert await client.ping()


@pytest.mark.parametrize("run", [uvloop.run, asyncio.run])
@pytest.mark.parametrize("size", [1, 70_000])
def test_a_connection_that_was_reset_is_replaced(valkey, run, size):
    """uvloop raises RuntimeError on one, which was no error of Redis: the pool gave the same one out for ever."""

    async def story():
        async with Link(valkey.socket) as link:
            client = Redis.from_pool(Pool.from_url(link.url, **{**OPTIONS, "max_connections": 1}))
            for _ in range(3):
                assert await client.echo("x" * size)
                link.reset()
                await asyncio.sleep(0.05)
            assert await client.echo("x" * size)
            [connection] = client.connection_pool._available_connections
            link.reset()
            await asyncio.sleep(0.05)
            assert await connection.can_read()
            # Nor where it is lost between the look and the write.
            with pytest.raises(RedisConnectionError):
                await connection.send_command("ECHO", "x" * size, check_health=False)
            await client.aclose()

    run(story())


async def test_what_is_long_under_way_arrives_if_it_never_stands_still(client_of, valkey):
    """The time-out is for a peer that says nothing, not for how much there is to say."""
    valkey.client.set("pool-big", b"x" * (2 << 20), ex=60)
    async with Link(valkey.socket) as link:
        client = client_of(1, link.url, socket_timeout=1, retry=Retry(NoBackoff(), 0))
        await client.ping()
        link.pause_s = 0.06  # two seconds for the whole
        assert len(await client.get("pool-big")) == 2 << 20
        link.pause_s, link.slow_bytes = 0.02, 8 << 20  # slower, a full buffer would take no more for too long
        assert await client.set("pool-big", b"x" * (24 << 20), ex=1)


async def test_a_server_that_takes_no_writes_any_more_is_left(client_of, valkey, mortal_valkey):
    """An address that leads to another master by now: open connections stayed with the old one for ever."""
    async with Link(mortal_valkey.socket) as link:
        client = client_of(1, link.url)
        await client.set("pool-master", "old")
        mortal_valkey.client.replicaof("127.0.0.1", "1")
        with pytest.raises(NoMasterError):
            await client.set("pool-master", "lost")
        link.target = valkey.socket
        assert await client.set("pool-master", "new", ex=60)
        assert valkey.client.get("pool-master") == b"new"


async def test_a_server_on_a_unix_socket_that_stands_still_is_an_error(client_of, mortal_valkey):
    """It was greeted within the greeting, for ever."""
    client = client_of(1, mortal_valkey.url, socket_timeout=0.2, socket_connect_timeout=0.2)
    await client.ping()
    mortal_valkey.process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(RedisError):
            await asyncio.wait_for(client.ping(), 20)
    finally:
        mortal_valkey.process.send_signal(signal.SIGCONT)


async def test_a_server_that_is_gone_is_an_error_of_its_own():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        client = Redis.from_pool(Pool.from_url(f"redis://127.0.0.1:{nobody.getsockname()[1]}", **OPTIONS))
        for _ in range(3):
            with pytest.raises(RedisConnectionError):
                await client.ping()
        await client.aclose()


async def test_an_answer_that_nobody_waited_for_is_nobody_elses(client_of):
    client = client_of(1)
    waiting = asyncio.create_task(client.blpop(["pool-late"], timeout=1))
    await asyncio.sleep(0.05)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert [await client.echo(str(number)) for number in range(3)] == [b"0", b"1", b"2"]
