"""A program that has just begun goes before those that have run for long."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest
from walls import bare_sandbox

from sandbox import Limits, RunSpec

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox import RunReport, Sandbox

pytestmark = pytest.mark.jail
OLD_S, YOUNG_S = 2.0, 0.07
OLD = 4 * (os.cpu_count() or 1)
YOUNG = 10


async def spin(sandbox: Sandbox, wall_s: float) -> RunReport:
    return await sandbox.run(RunSpec(code="while True: pass", limits=Limits(wall_s=wall_s)))


def shares_processors(sandbox: Sandbox) -> bool:
    found = sandbox.hierarchy
    assert found is not None
    return any((found.cpu or found.memory).glob(f"evalpool-{os.getpid()}-*/{found.files.share}"))


def share(reports: list[RunReport]) -> float:
    """Of one processor, on average."""
    return sum(report.usage.cpu_s for report in reports) / sum(report.usage.wall_s for report in reports)


async def test_a_young_program_gets_more_than_an_old_one(environment_root: Path, tmp_path: Path) -> None:
    async with bare_sandbox(environment_root, tmp_path, slots=OLD + 1) as sandbox:
        if not shares_processors(sandbox):
            pytest.skip("no writable controller `cpu` here")
        old = [asyncio.create_task(spin(sandbox, OLD_S)) for _ in range(OLD)]
        await asyncio.sleep(0.5)
        young = [await spin(sandbox, YOUNG_S) for _ in range(YOUNG)]

        assert share(young) > 2 * share(await asyncio.gather(*old))
