"""Runs a first program in a real cell of an environment, before anybody is switched to it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from evalctl.images.errors import ImageError
from evalctl.scratch import scratch
from sandbox import Ending, Kind, RunSpec, Sandbox, SandboxConfig, SandboxError, ending_of

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox import Environment


def attempt(environment: Environment, state: Path) -> None:
    """Boot every tier, run a program in each. Raises ImageError with what is missing."""
    logging.getLogger("sandbox").setLevel(logging.CRITICAL)  # the error says it all
    asyncio.run(_attempt(environment, state))


async def _empty(sandbox: Sandbox) -> None:
    """Run a program without a word, where nobody knows a better one: what is no interpreter fails."""
    environment = sandbox.environment
    if environment.kind is Kind.PYTHON or environment.trial or environment.compile:
        return
    report = await sandbox.run(RunSpec(code=""))
    if ending_of(report) is not Ending.OK:
        last = report.stderr.decode(errors="replace").strip().splitlines()[-1:]
        command = " ".join(environment.command)
        raise ImageError(f"no program runs in it: `{command}` ends as {ending_of(report)} ({' '.join(last)})")


async def _attempt(environment: Environment, state: Path) -> None:
    with scratch(state / "run", "image-") as folder:
        config = SandboxConfig(run_dir=folder / "jails", slots=1, warm=1)
        try:
            async with Sandbox(environment, config) as sandbox:
                await sandbox.prove()
                await _empty(sandbox)
        except (SandboxError, OSError) as error:
            raise ImageError(f"no program runs in it: {error}") from None
