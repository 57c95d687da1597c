"""Sandboxes of the bare tier for the tests of the wall."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio
from walls import COUNTS, bare_sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import pytest

    from sandbox import Sandbox


@pytest_asyncio.fixture(loop_scope="session", scope="session", params=COUNTS)
async def counted(
    request: pytest.FixtureRequest, environment_root: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Sandbox]:
    """Four slots, by cgroups and by rlimits."""
    folder = tmp_path_factory.mktemp("jail")
    async with bare_sandbox(environment_root, folder, counts=request.param, slots=4) as opened:
        yield opened
