"""A small sandbox of the bare tier, with and without cgroups: what the tests of the wall attack."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sandbox import Sandbox, SandboxConfig, default_environment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

MODE = "root" if os.geteuid() == 0 else "ordinary"
COUNTS = ["cgroups", "rlimits"]
"""By what memory and processes are limited."""


@contextlib.asynccontextmanager
async def bare_sandbox(root: Path, folder: Path, *, counts: str = "cgroups", slots: int = 2) -> AsyncIterator[Sandbox]:
    """A sandbox with the first tier only, as many warm cells as slots; skips where `counts` cannot be had."""
    environment = default_environment(root)
    environment = replace(environment, tiers=environment.tiers[:1])
    config = SandboxConfig(run_dir=folder / "run", slots=slots, cgroups=counts == "cgroups")
    async with Sandbox(environment, config) as sandbox:
        if config.cgroups and sandbox.hierarchy is None:
            pytest.skip("no writable cgroup here")
        yield sandbox
