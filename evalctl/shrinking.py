"""Keeps the file of our own Redis about as small as the data in it.

A server rewrites its append-only file by itself when that has doubled since the last time. But most of our data lives
for an hour: a file that was last rewritten in the middle of a big batch would have to double from there, and until then
is kept, and read at each start, for next to nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, NoReturn

from redis.asyncio import Redis
from redis.exceptions import RedisError

if TYPE_CHECKING:
    from collections.abc import Mapping

_LEAST_BYTES = 64 << 20
"""As the server's own `auto-aof-rewrite-min-size`."""
_TIMES = 2
_PAUSE_S = 60.0
_AFTER_FAILURE_S = 3600.0
"""A full disk: each attempt leaves another file there until one succeeds."""


async def keep_small(url: str) -> NoReturn:
    """Look now and then, and have the file rewritten when it is much bigger than the data."""
    while True:
        pause_s = _PAUSE_S
        with contextlib.suppress(RedisError, OSError):
            async with Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5) as redis:
                pause_s = await look(redis)
        await asyncio.sleep(pause_s)


async def look(redis: Redis) -> float:
    """Have the file rewritten if it is worth it; returns seconds until the next look. Raises RedisError, OSError."""
    told = await redis.info("memory", "persistence")
    if not worth_it(told):
        return _PAUSE_S
    await redis.bgrewriteaof()
    return _PAUSE_S if told["aof_last_bgrewrite_status"] == "ok" else _AFTER_FAILURE_S


def worth_it(told: Mapping[str, Any]) -> bool:
    """By what the server says in INFO: whether the file is much bigger than the data, and nobody writes it anew yet."""
    busy = told["aof_rewrite_in_progress"] or told["aof_rewrite_scheduled"]
    return not busy and told["aof_current_size"] > max(_LEAST_BYTES, _TIMES * told["used_memory"])
