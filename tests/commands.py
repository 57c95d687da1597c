"""`evalctl` as a command of its own, on a state folder that a test says."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registry import Registry

ROOT = Path(__file__).resolve().parents[1]


class Command:
    """`evalctl` on the state folder of a cluster, or on one of its own."""

    def __init__(self, registry: Registry, state: Path, **variables: str) -> None:
        self.state = state
        self._variables = {
            **os.environ,
            "PATH": f"{registry.path}:{os.environ['PATH']}",
            "HOME": str(registry.home),
            "EVAL_STATE_DIR": str(state),
            "EVAL_PORT": "1",
            **variables,
        }

    def __call__(self, *words: object, before: tuple[str, ...] = (), **variables: str) -> subprocess.CompletedProcess:
        command = [*before, *self._line(words)]
        environ = self._variables | variables
        return subprocess.run(command, env=environ, capture_output=True, text=True, check=False, cwd=ROOT, timeout=100)

    def started(self, *words: object) -> subprocess.Popen[str]:
        """One that a test ends, or waits for."""
        pipe = subprocess.PIPE
        return subprocess.Popen(self._line(words), env=self._variables, stdout=pipe, stderr=pipe, text=True, cwd=ROOT)

    async def aside(self, *words: object) -> subprocess.CompletedProcess:
        return await asyncio.to_thread(self, *words)

    def _line(self, words: tuple[object, ...]) -> list[str]:
        return [sys.executable, "-m", "evalctl", *map(str, words)]


def said(done: subprocess.CompletedProcess) -> str:
    return done.stdout + done.stderr
