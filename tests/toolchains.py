"""Sandboxes of languages, as their tests ask for them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from sandbox import Sandbox

Language = Callable[[str], Awaitable[Sandbox]]


async def started(sandbox: Sandbox, *, warm: int = 1) -> Sandbox:
    """Wait for so many warm cells, one with the command started in it if the environment has that."""
    ahead = bool(sandbox.environment.warm)
    pool = sandbox.pools["exec"]
    while pool.warm < warm or not any(cell.ahead is ahead for cell in pool._warm):  # noqa: ASYNC110
        await asyncio.sleep(0.002)
    return sandbox
