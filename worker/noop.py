"""Stands in for the sandbox when the queue alone is measured (`EVAL_SANDBOX=noop`). Runs nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from jobs.model import DEFAULT, EnvironmentInfo
from sandbox import RunReport

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox import RunSpec


class NoopEnvironments:
    """The default environment alone, in a `NoopSandbox`."""

    complaint = ""
    """It always serves."""

    def __init__(self) -> None:
        self.serving = {DEFAULT: NoopSandbox()}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    def about(self) -> dict[str, EnvironmentInfo]:
        """Only its name."""
        return {DEFAULT: EnvironmentInfo()}

    def pools(self) -> tuple[()]:
        """None."""
        return ()

    async def follow(self, *_: object) -> None:
        """Nothing changes."""
        await asyncio.Event().wait()


class NoopSandbox:
    """Answers every program with exit code 0 and no output."""

    async def run(self, _: RunSpec, on_output: Callable[[str, bytes], None] | None = None) -> RunReport:  # noqa: ARG002
        """Pretend."""
        return RunReport(exit_code=0, signal=None)
