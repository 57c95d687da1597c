"""Clusters, and what they wrote when a test fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from cluster import Cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator
    from pathlib import Path

_SHOWN = 1_500


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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the ends of the logs."""
    report = yield
    if report.failed and isinstance(item, pytest.Function):
        for clustered in [value for value in item.funcargs.values() if isinstance(value, Cluster)]:
            for service in clustered.services:
                report.sections.append((f"log of {service.name} {service.pid}", service.said()[-_SHOWN:]))
    return report
