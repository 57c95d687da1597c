"""The file of our own Redis follows its data, down too."""

from __future__ import annotations

import asyncio
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from processes import eventually
from redis import Redis
from redis.exceptions import RedisError

from evalctl import shrinking, valkey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIB = 1 << 20
QUIET = {"aof_rewrite_in_progress": 0, "aof_rewrite_scheduled": 0, "aof_last_bgrewrite_status": "ok"}


class Own:
    """A server as `up` starts it."""

    def __init__(self, private: valkey.PrivateServer) -> None:
        self.private, self.client = private, Redis.from_url(private.url)

    @property
    def files_bytes(self) -> int:
        return sum(map(_size, self.private.data_dir.rglob("*.*")))

    def answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except RedisError:
            return False

    def rewritten(self) -> bool:
        told = self.client.info("persistence")
        return not told["aof_rewrite_in_progress"] and bool(told["aof_rewrites"])


def _size(file: Path) -> int:
    """Of a file that the server may just be removing."""
    try:
        return file.stat().st_size if file.is_file() else 0
    except FileNotFoundError:
        return 0


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Own]:
    private = valkey.private_server(valkey.choose_server(), tmp_path)
    valkey.prepare(private)
    with subprocess.Popen(private.argv, stdout=subprocess.DEVNULL) as server:
        own = Own(private)
        try:
            assert eventually(own.answers)
            yield own
        finally:
            own.client.close()
            server.terminate()


async def test_the_file_shrinks_when_the_data_is_gone(own: Own, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was rewritten in the middle of a big batch, and then had to double from there: gigabytes for megabytes."""
    monkeypatch.setattr(shrinking, "_LEAST_BYTES", MIB)
    monkeypatch.setattr(shrinking, "_PAUSE_S", 0.1)  # what is flushed is freed behind the reply
    for number in range(20):
        own.client.set(f"{number}", os.urandom(MIB))
    own.client.bgrewriteaof()
    assert eventually(own.rewritten)
    own.client.flushall()
    assert own.files_bytes > 10 * MIB

    keeping = asyncio.create_task(shrinking.keep_small(own.private.url))
    try:
        assert await asyncio.to_thread(eventually, lambda: own.files_bytes < MIB)
    finally:
        keeping.cancel()


@pytest.mark.parametrize(
    ("told", "worth_it"),
    [
        ({"aof_current_size": 2200 * MIB, "used_memory": 5 * MIB}, True),
        ({"aof_current_size": 63 * MIB, "used_memory": 1 * MIB}, False),
        ({"aof_current_size": 1900 * MIB, "used_memory": 1000 * MIB}, False),
        ({"aof_current_size": 2200 * MIB, "used_memory": 5 * MIB, "aof_rewrite_in_progress": 1}, False),
        ({"aof_current_size": 2200 * MIB, "used_memory": 5 * MIB, "aof_rewrite_scheduled": 1}, False),
    ],
)
def test_a_file_is_rewritten_where_that_saves_much(told: dict[str, Any], *, worth_it: bool) -> None:
    assert shrinking.worth_it(QUIET | told) is worth_it
