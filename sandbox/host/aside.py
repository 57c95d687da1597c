"""Work that blocks (files, many of them) in a thread: the loop has programs to serve meanwhile."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")


async def aside(work: Callable[..., T], *arguments: object) -> T:
    """Do the work and give its result. Who is cancelled meanwhile goes on when it has ended, not before.

    What comes next may be to remove the files that the thread still writes.
    """
    doing = asyncio.get_running_loop().run_in_executor(None, work, *arguments)
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        while not doing.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait({doing})
        raise


async def remove(folder: Path) -> None:
    """Remove a folder and all that is in it; no matter if it is not there."""
    await aside(lambda: shutil.rmtree(folder, ignore_errors=True))
