"""Wait for a reply without losing sight of the caller.

The hot path waits for the future alone. Only a wait that lasts gets a watcher on the connection, so a quick
eval pays for no task. Redis reads are never cancelled: what is waited for is the inbox's future.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect

if TYPE_CHECKING:
    from starlette.types import Receive

    from jobs.model import JobResult

GRACE_S = 2.0
"""After the deadline a worker still has to kill the program and answer."""
UNWATCHED_S = 0.05
"""A caller who hangs up is noticed after this long at the earliest."""


async def reply(future: asyncio.Future[JobResult], receive: Receive, *, timeout_s: float) -> JobResult | None:
    """Wait for the result; None after `timeout_s`. Raises ClientDisconnect as soon as the caller hangs up.

    Forgets the future unless it is done. `receive` must have given the whole body already.
    """
    try:
        if not future.done():
            await asyncio.wait((future,), timeout=min(UNWATCHED_S, timeout_s))
        if not future.done() and timeout_s > UNWATCHED_S:
            await _watched(future, receive, timeout_s - UNWATCHED_S)
        return settled(future)
    finally:
        future.cancel()


def settled(future: asyncio.Future[JobResult]) -> JobResult | None:
    """Give the result if it is there. Raises WireError."""
    # Cancelled: the inbox closed under us, which only a forced shutdown does.
    return future.result() if future.done() and not future.cancelled() else None


async def _watched(future: asyncio.Future[JobResult], receive: Receive, timeout_s: float) -> None:
    gone = asyncio.ensure_future(hang_up(receive))
    try:
        await asyncio.wait((future, gone), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if gone.done() and not future.done():
            raise ClientDisconnect
    finally:
        gone.cancel()


async def hang_up(receive: Receive) -> None:
    """Wait until the caller hangs up."""
    while (await receive())["type"] != "http.disconnect":
        pass
