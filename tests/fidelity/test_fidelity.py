"""A program in the sandbox behaves as under `python3 main.py`: same stdout, stderr and exit.

Each `programs/<name>.py` is one case; beside it may stand `<name>.stdin`, `<name>.args` (an argument per
line) and `<name>.files/` (submitted files). Only two things are normalised: memory addresses, and where the
working directory and the interpreter lie.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from bare_python import Bare, run_bare

from sandbox.spec import RunReport, RunSpec

if TYPE_CHECKING:
    from sandbox import Sandbox

PROGRAMS = sorted((Path(__file__).parent / "programs").glob("*.py"))
TELL_PLACES = "import os, sys; print(os.getcwd(), sys.prefix, sys.base_prefix, sep='\\n')"
UNSEEDED = {
    "bare": "import random, tempfile; print(random.random(), next(tempfile._get_candidate_names()))",
    "science": "import random, numpy; print(random.random(), numpy.random.rand())",
}
ADDRESS = re.compile(r"0x[0-9a-f]+")

pytestmark = [pytest.mark.jail, pytest.mark.asyncio(loop_scope="session")]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a caller can tell of a run, normalised."""

    exit_code: int | None
    signal: int | None
    stdout: str
    stderr: str


def load(program: Path) -> RunSpec:
    """Read a case. Bytes are kept as they are: line ends are part of some promises."""
    stdin, args, files = (program.with_suffix(suffix) for suffix in (".stdin", ".args", ".files"))
    return RunSpec(
        code=program.read_bytes().decode(),
        stdin=stdin.read_bytes() if stdin.exists() else b"",
        args=tuple(args.read_text("utf-8").removesuffix("\n").split("\n")) if args.exists() else (),
        files={
            path.relative_to(files).as_posix(): path.read_bytes() for path in sorted(files.rglob("*")) if path.is_file()
        },
    )


@dataclass(frozen=True, kw_only=True)
class Places:
    """Paths that differ between the two sides by right."""

    workdir: str
    python: tuple[str, ...]
    """Prefixes of the interpreter's own files, longest first."""

    @classmethod
    def told(cls, answer: bytes) -> Places:
        """Read what `TELL_PLACES` printed."""
        workdir, *python = answer.decode().splitlines()
        return cls(workdir=workdir, python=tuple(sorted(set(python), key=len, reverse=True)))


def normalise(raw: bytes, places: Places) -> str:
    """Text of a stream with what may differ named."""
    text = raw.decode(errors="backslashreplace")
    for name, path in (("<workdir>", places.workdir), *(("<python>", path) for path in places.python)):
        text = re.sub(re.escape(path) + r"(?![\w.-])", name, text)
    return ADDRESS.sub("0x...", text)


def outcome(report: RunReport, places: Places) -> Outcome:
    return Outcome(
        exit_code=report.exit_code,
        signal=report.signal,
        stdout=normalise(report.stdout, places),
        stderr=normalise(report.stderr, places),
    )


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def jailed_places(sandbox: Sandbox) -> Places:
    return Places.told((await sandbox.run(RunSpec(code=TELL_PLACES))).stdout)


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def bare_places(bare: Bare, tmp_path_factory: pytest.TempPathFactory) -> Places:
    folder = tmp_path_factory.mktemp("places")
    return Places.told((await run_bare(RunSpec(code=TELL_PLACES), folder, bare)).stdout)


NEEDS_CGROUPS = {"lib_memfd"}


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.stem)
async def test_program_behaves_as_under_the_bare_interpreter(
    *,
    program: Path,
    sandbox: Sandbox,
    jailed_places: Places,
    bare: Bare,
    bare_places: Places,
    tmp_path: Path,
) -> None:
    if program.stem in NEEDS_CGROUPS and sandbox.hierarchy is None:
        pytest.skip("without cgroups there is no memfd: no watch could see its memory")
    spec = load(program)
    expected = outcome(await run_bare(spec, tmp_path, bare), replace(bare_places, workdir=str(tmp_path)))
    assert outcome(await sandbox.run(spec), jailed_places) == expected


@pytest.mark.parametrize("tier", UNSEEDED)
async def test_unseeded_random_numbers_differ_between_runs(tier: str, sandbox: Sandbox) -> None:
    runs = [await sandbox.run(RunSpec(code=UNSEEDED[tier])) for _ in range(4)]
    numbers = [number for run in runs for number in run.stdout.split()]
    assert len(numbers) == len(set(numbers)) == 2 * len(runs)
