"""A small sandbox of the bare tier, with and without cgroups: what the tests of the wall attack."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sandbox import Environment, Kind, Sandbox, SandboxConfig, default_environment
from sandbox.environment import tiers_with
from sandbox.host.identity import can_stage, uid_range
from sandbox.presets import EXEC_TIERS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

MODE = "root" if os.geteuid() == 0 else "ordinary"
COUNTS = ["cgroups", "rlimits"]
"""By what memory and processes are limited."""


@contextlib.asynccontextmanager
async def bare_sandbox(
    root: Path,
    folder: Path,
    *,
    counts: str = "cgroups",
    slots: int = 2,
    kind: Kind = Kind.PYTHON,
    image: Path | None = None,
    preset: Environment | None = None,
) -> AsyncIterator[Sandbox]:
    """A sandbox with the first tier only, as many warm cells as slots; skips where `counts` cannot be had."""
    environment = default_environment(root)
    if image is not None:
        environment = Environment(image=image, tiers=tiers_with(()))
    tiers = environment.tiers[:1] if kind is Kind.PYTHON else EXEC_TIERS
    environment = replace(environment, kind=kind, tiers=tiers, trial="print('ok')")
    if preset is not None:
        environment = replace(preset, packages=root)
    _open_way(folder)
    config = SandboxConfig(run_dir=folder / "run", slots=slots, cgroups=counts == "cgroups")
    async with Sandbox(environment, config) as sandbox:
        if config.cgroups and sandbox.hierarchy is None:
            pytest.skip("no writable cgroup here")
        yield sandbox


def _open_way(folder: Path) -> None:
    """For a root that may not mount: it cannot show its jails what pytest keeps to itself."""
    if uid_range() is None or can_stage():
        return
    for part in (folder, *folder.parents):
        if part.stat().st_uid == os.geteuid():
            part.chmod(part.stat().st_mode | 0o001)
