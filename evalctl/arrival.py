"""What `evalctl up` waits for before it says that it is up: Redis, a worker, coordinators, the result of one eval."""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import time
from typing import TYPE_CHECKING

import httpx2
from redis.asyncio import Redis
from redis.exceptions import BusyLoadingError, RedisError
from rq.worker_registration import WORKERS_BY_QUEUE_KEY

from evalctl.guards import UpError
from jobs.batches.carrier import QUEUE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

SELF_CHECK = {"code": "print(1+1)"}
_SILENCE_S = 60.0
"""A server of ours that says nothing for so long hangs. That it reads its data back is an answer."""
_READY_S = 120.0
"""A first start reads the preloaded packages from a cold disk."""
_PAUSE_S = 0.05
_PROGRESS_S = 10.0


async def redis_answers(url: str, *, log: Path | None, report: Callable[[str], None]) -> None:
    """Wait for PONG, not for the socket: a server that reads its data back is not ready yet, however long it takes.

    `log` is that of a server of ours, which may just be starting; another is there or it is not. Raises UpError.
    """
    silent_since, told_at = time.monotonic(), -math.inf
    while True:
        redis = Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2)
        try:
            async with redis:
                await redis.ping()
                return
        except BusyLoadingError:
            silent_since = time.monotonic()
            if silent_since - told_at > _PROGRESS_S:
                told_at = silent_since
                report(f"redis reads its data back{await _progress(url)}{f'; its log is {log}' if log else ''}")
        except (RedisError, OSError) as error:
            if log is None or time.monotonic() - silent_since > _SILENCE_S:
                raise UpError(f"redis does not answer: {error}") from None
        await asyncio.sleep(_PAUSE_S)


async def _progress(url: str) -> str:
    """How far a server is that reads its data back; nothing if it does not say."""
    with contextlib.suppress(RedisError, OSError):
        async with Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2) as redis:
            told = await redis.info("persistence")
            return f" ({float(told['loading_loaded_perc']):.0f} % so far)" if told.get("loading") else ""
    return ""


async def rq_can_read(url: str) -> None:
    """Raise UpError if RQ could not work on this Redis: it asks where its connection leads, and that has no blanks."""
    async with Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2) as redis:
        try:
            await redis.client_info()
        except ValueError:
            raise UpError(
                "EVAL_REDIS_URL leads to a server whose socket has a blank or a = in its path. RQ cannot read that, so "
                "that batches would never run: give the server another `unixsocket`"
            ) from None
        except (RedisError, OSError):
            return  # an old server that does not say, or one that has gone again


async def coordinators_work(url: str, pids: Callable[[], Collection[int | None]]) -> None:
    """Wait until these processes of this machine, which may be started again meanwhile, take batches. Raises UpError.

    One that cannot start ends the wait from outside: whoever keeps it running notices.
    """
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline:
        with contextlib.suppress(RedisError, OSError):
            if set(pids()) <= await _registered(url):
                return
        await asyncio.sleep(_PAUSE_S)
    raise UpError(f"the coordinators of batches did not start within {_READY_S:.0f} s; their logs say why")


async def _registered(url: str) -> set[int | None]:
    """Pids of the coordinators of this machine, by RQ's own register. Killed ones stay in it for a while."""
    async with Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2) as redis:
        found = set[int | None]()
        for key in await redis.smembers(WORKERS_BY_QUEUE_KEY % QUEUE):
            pid, host = await redis.hmget(key, "pid", "hostname")
            if pid and host == socket.gethostname().encode():
                found.add(int(pid))
        return found


async def ready(http: httpx2.AsyncClient) -> None:
    """Wait until a worker has announced itself to the API. Raises UpError."""
    deadline, last = time.monotonic() + _READY_S, "the API does not answer"
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx2.TransportError):
            answer = await http.get("/readyz")
            if answer.status_code == httpx2.codes.OK:
                return
            last = answer.text.strip()[:300]
        await asyncio.sleep(0.1)
    raise UpError(f"not ready after {_READY_S:.0f} s: {last}")


async def self_check(http: httpx2.AsyncClient, token: str) -> float:
    """Run `print(1+1)` as a caller would; returns the seconds it took. Raises UpError."""
    started_at = time.monotonic()
    try:
        answer = await http.post("/v1/eval", json=SELF_CHECK, headers={"Authorization": f"Bearer {token}"})
        body = answer.json() if answer.status_code == httpx2.codes.OK else {}
    except (httpx2.TransportError, ValueError) as error:
        raise UpError(f"the self-check got no answer: {error!r}") from None
    if (body.get("status"), body.get("stdout")) != ("ok", "2\n"):
        raise UpError(f"the self-check failed: HTTP {answer.status_code} {answer.text.strip()[:500]}")
    return time.monotonic() - started_at
