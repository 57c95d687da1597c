"""Clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio
from cluster import Cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest_asyncio.fixture(scope="session")
async def cluster(environment_root: Path) -> AsyncIterator[Cluster]:
    """For tests that leave it as they found it."""
    with Cluster(environment_root) as opened:
        await opened.ready()
        yield opened


@pytest_asyncio.fixture(scope="module")
async def mortal() -> AsyncIterator[Cluster]:
    """For tests that kill; each leaves something that serves. Of the bare interpreter: workers start sooner."""
    with Cluster(None) as opened:
        await opened.ready()
        yield opened


@pytest_asyncio.fixture(scope="session")
async def served() -> AsyncIterator[Cluster]:
    """With a coordinator of batches, for tests of the command line that leave it as they found it."""
    with Cluster(None) as opened:
        opened.start_coordinator()
        await opened.ready()
        yield opened
