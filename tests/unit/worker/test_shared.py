"""A program that many jobs share is fetched once, and kept within a bound."""

from __future__ import annotations

import asyncio
import time

import pytest

from jobs.errors import BrokerUnavailable
from jobs.model import SharedPart
from worker.shared import SharedPrograms

KIB = 1 << 10


class Store:
    """Redis, as far as shared parts go."""

    def __init__(self) -> None:
        self.parts = {name: SharedPart(code=name * KIB, files={"f": bytes(KIB)}) for name in "abc"}
        self.asked: list[str] = []
        self.away = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def fetch(self, part_id: str) -> SharedPart | None:
        self.asked.append(part_id)
        await self.gate.wait()
        if self.away:
            self.away -= 1
            raise BrokerUnavailable
        return self.parts.get(part_id)


def soon() -> float:
    return time.time() + 5


async def test_jobs_that_come_together_fetch_once() -> None:
    store = Store()
    store.gate.clear()
    programs = SharedPrograms(store.fetch, bound_bytes=10 * KIB)
    first, *others = [asyncio.create_task(programs.get("a", until=soon())) for _ in range(9)]
    await asyncio.sleep(0)
    first.cancel()
    store.gate.set()

    assert all(program.part == store.parts["a"] for program in await asyncio.gather(*others))
    assert (await programs.get("a", until=soon())).part == store.parts["a"]
    assert store.asked == ["a"]


async def test_what_was_used_longest_ago_goes_first() -> None:
    store = Store()
    programs = SharedPrograms(store.fetch, bound_bytes=4 * KIB)
    for name in ("a", "b", "a", "c", "a", "b"):
        await programs.get(name, until=soon())
        assert programs.size_bytes <= 4 * KIB

    assert store.asked == ["a", "b", "c", "b"]


async def test_what_is_larger_than_the_cache_is_given_and_not_kept() -> None:
    store = Store()
    programs = SharedPrograms(store.fetch, bound_bytes=KIB)

    assert (await programs.get("a", until=soon())).part == store.parts["a"]
    assert programs.size_bytes == 0


async def test_what_is_gone_is_none_and_not_remembered() -> None:
    store = Store()
    programs = SharedPrograms(store.fetch, bound_bytes=KIB)

    assert [await programs.get("x", until=soon()) for _ in range(2)] == [None, None]
    assert store.asked == ["x", "x"]


async def test_while_redis_is_away_it_waits_until_the_deadline() -> None:
    store = Store()
    programs = SharedPrograms(store.fetch, bound_bytes=9 * KIB)
    store.away = 1

    assert await programs.get("a", until=soon()) is not None
    store.away = 1
    with pytest.raises(BrokerUnavailable):
        await programs.get("b", until=time.time())
