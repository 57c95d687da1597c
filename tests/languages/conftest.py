"""A sandbox of each language, on the toolchains of this machine."""

from __future__ import annotations

import shutil
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from sandbox import Sandbox, SandboxConfig
from sandbox.presets import PRESETS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    Language = Callable[[str], Awaitable[Sandbox]]


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def language(environment_root: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Language]:
    """Open the sandbox of a language by name, the first time."""
    opened: dict[str, Sandbox] = {}
    async with AsyncExitStack() as stack:

        async def of(name: str) -> Sandbox:
            environment = replace(PRESETS[name], packages=environment_root)
            needed = (environment.compile or environment.command)[0]
            if shutil.which(needed) is None:
                pytest.skip(f"this machine has no {needed}")
            if name not in opened:
                config = SandboxConfig(run_dir=tmp_path_factory.mktemp(name) / "run", slots=2)
                opened[name] = await stack.enter_async_context(Sandbox(environment, config))
            return opened[name]

        yield of
