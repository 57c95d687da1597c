"""Runs imports in a real cell of an environment before anybody else's program does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from evalctl.installer import installed
from evalctl.scratch import scratch
from sandbox import (
    Ending,
    Limits,
    RunSpec,
    Sandbox,
    SandboxConfig,
    SandboxError,
    default_environment,
    ending_of,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from importlib.metadata import Distribution
    from pathlib import Path

_LIMITS = Limits(wall_s=60.0, memory_bytes=1 << 30)
"""A first import reads a package from a cold disk."""


class TrialError(Exception):
    """Something does not work in a cell; the message is one sentence for people."""


def imports_of(root: Path, packages: Collection[str]) -> list[str]:
    """Top-level modules of installed `packages` (canonical names) that a program would import."""
    found = installed(root)
    return sorted({module for name in packages for module in _modules(found[name])})


def try_imports(root: Path, state: Path, modules: Collection[str]) -> None:
    """Boot every tier of the environment at `root`, and import each module. Raises TrialError."""
    asyncio.run(_try(root, state, modules))


async def _try(root: Path, state: Path, modules: Collection[str]) -> None:
    with scratch(state / "run", "trial-") as folder:
        config = SandboxConfig(run_dir=folder / "jails", slots=1)
        try:
            async with Sandbox(default_environment(root), config) as sandbox:
                await sandbox.prove()
                for module in modules:
                    await _import(sandbox, module)
        except SandboxError as error:
            raise TrialError(f"no cell can be made with it: {error}") from None


async def _import(sandbox: Sandbox, module: str) -> None:
    report = await sandbox.run(RunSpec(code=f"import {module}", limits=_LIMITS))
    if ending_of(report) is not Ending.OK:
        last = report.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise TrialError(f"import {module} fails in a cell: {' '.join(last) or ending_of(report)}")


def _modules(distribution: Distribution) -> Iterator[str]:
    """Names by what is installed; nested or private ones, and files that are no modules, left out."""
    for file in distribution.files or ():
        first, *rest = file.parts
        is_package = len(rest) == 1 and rest[0] == "__init__.py"
        is_module = not rest and file.suffix in {".py", ".so"}
        name = first.partition(".")[0]
        if (is_package or is_module) and name.isidentifier() and not name.startswith("_"):
            yield name
