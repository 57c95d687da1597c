"""A program in the sandbox behaves as its run command does outside: same stdout, stderr, exit, and same compile step.

Each `programs/<language>/<name>.<suffix>` is one case; beside it may stand `<name>.stdin`, `<name>.args` (one per
line) and `<name>.files/` (submitted files). Only where the working directory lies is made alike.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sandbox import Limits, RunSpec
from sandbox.presets import PRESETS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toolchains import Language

    from sandbox import Environment

HERE = Path(__file__).parent / "programs"
CASES = sorted(
    path for name, preset in PRESETS.items() for path in (HERE / name).glob(f"*{Path(preset.filename).suffix}")
)

Outcome = tuple[int, str, str]


def spec_of(program: Path) -> RunSpec:
    stdin, args, files = (program.with_suffix(suffix) for suffix in (".stdin", ".args", ".files"))
    return RunSpec(
        code=program.read_text(),
        stdin=stdin.read_bytes() if stdin.exists() else b"",
        limits=Limits(wall_s=30, compile_s=60),
        args=tuple(args.read_text().splitlines()) if args.exists() else (),
        files={
            path.relative_to(files).as_posix(): path.read_bytes() for path in sorted(files.rglob("*")) if path.is_file()
        },
    )


def outside(environment: Environment, spec: RunSpec, folder: Path) -> list[Outcome]:
    """Each step of a run with no sandbox around it."""
    for name, content in {environment.filename: spec.code.encode(), **spec.files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    steps = [environment.compile] if environment.compile else []
    return [
        *(_bare(step, b"", folder) for step in steps),
        _bare((*environment.command, *spec.args), spec.stdin, folder),
    ]


def _bare(command: Sequence[str], stdin: bytes, folder: Path) -> Outcome:
    env = {"PATH": os.environ["PATH"], "HOME": "/tmp", "LANG": "C.UTF-8"}
    done = subprocess.run(command, input=stdin, cwd=folder, env=env, capture_output=True, check=False, umask=0o022)
    return done.returncode, _alike(done.stdout, str(folder)), _alike(done.stderr, str(folder))


def _alike(text: bytes, workdir: str) -> str:
    return re.sub(r"0x[0-9a-f]+", "0x...", text.decode(errors="backslashreplace").replace(workdir, "/work"))


@pytest.mark.jail
@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("program", CASES, ids=lambda path: f"{path.parent.name}-{path.stem}")
async def test_it_is_as_outside(program: Path, language: Language, tmp_path: Path) -> None:
    sandbox = await language(program.parent.name)
    spec = spec_of(program)
    report = await sandbox.run(spec)
    code = report.exit_code if report.exit_code is not None else -(report.signal or 0)
    found = [(code, _alike(report.stdout, "/work"), _alike(report.stderr, "/work"))]
    if report.compile is not None:
        said = report.compile
        found.insert(0, (said.exit_code or 0, _alike(said.stdout, "/work"), _alike(said.stderr, "/work")))

    assert found == outside(sandbox.environment, spec, tmp_path)


def test_there_are_cases_of_every_language() -> None:
    assert {path.parent.name for path in CASES} == PRESETS.keys()
