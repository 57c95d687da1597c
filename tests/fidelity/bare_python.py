"""The other side of every comparison: `python3 main.py` with no sandbox around it."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.spec import RunReport

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.spec import RunSpec

BARE_TIMEOUT_S = 30


def lay_out(spec: RunSpec, folder: Path) -> None:
    """Write main.py and the submitted files into an empty folder."""
    for name, content in {"main.py": spec.code.encode(), **spec.files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@dataclass(frozen=True, kw_only=True)
class Bare:
    """The interpreter of the environment, with no sandbox around it."""

    python: Path
    home: Path

    @property
    def environ(self) -> dict[str, str]:
        """Variables of a bare run: what a clean login has, nothing of this test's own."""
        path = os.pathsep.join([str(self.python.parent), "/usr/local/bin", "/usr/bin", "/bin"])
        return {"PATH": path, "HOME": str(self.home), "LANG": "C.UTF-8"}


async def start_bare(spec: RunSpec, folder: Path, bare: Bare) -> asyncio.subprocess.Process:
    """Start `python3 main.py` in `folder`, in a session of its own so that its signals stay its own."""
    lay_out(spec, folder)
    return await asyncio.create_subprocess_exec(
        bare.python,
        "main.py",
        *spec.args,
        cwd=folder,
        env=bare.environ,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        umask=0o022,
        start_new_session=True,
    )


async def run_bare(spec: RunSpec, folder: Path, bare: Bare) -> RunReport:
    """Run a case under the bare interpreter and report it as the sandbox would."""
    process = await start_bare(spec, folder, bare)
    stdout, stderr = await asyncio.wait_for(process.communicate(spec.stdin), BARE_TIMEOUT_S)
    code = process.returncode
    assert code is not None
    return RunReport(
        exit_code=code if code >= 0 else None,
        signal=-code if code < 0 else None,
        stdout=stdout,
        stderr=stderr,
    )
