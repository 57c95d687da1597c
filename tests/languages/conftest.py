"""A sandbox of each language, on the toolchains of this machine."""

from __future__ import annotations

import shutil
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from toolchains import started

from sandbox import Sandbox, SandboxConfig
from sandbox.presets import PRESETS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from toolchains import Language

    from sandbox import Environment


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def language(environment_root: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Language]:
    """The sandbox of a language by name, the next run's command started."""
    async with AsyncExitStack() as stack:
        yield _opener(stack, environment_root, tmp_path_factory, PRESETS)


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def plain(environment_root: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Language]:
    """Likewise, where commands are executed when their program is there."""
    async with AsyncExitStack() as stack:
        presets = {name: replace(preset, warm="") for name, preset in PRESETS.items()}
        yield _opener(stack, environment_root, tmp_path_factory, presets)


def _opener(
    stack: AsyncExitStack, root: Path, folders: pytest.TempPathFactory, environments: Mapping[str, Environment]
) -> Language:
    """Opens a sandbox the first time that it is asked for."""
    opened: dict[str, Sandbox] = {}

    async def of(name: str) -> Sandbox:
        environment = replace(environments[name], packages=root)
        needed = (environment.compile or environment.command)[0]
        if shutil.which(needed) is None:
            pytest.skip(f"this machine has no {needed}")
        if name not in opened:
            config = SandboxConfig(run_dir=folders.mktemp(name) / "run", slots=2)
            opened[name] = await stack.enter_async_context(Sandbox(environment, config))
        return await started(opened[name])

    return of
