"""Environments: what a program finds around it. A root filesystem, a file name, a run command, preload tiers."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandbox.config import CellLimits

# Every page that a zygote holds is mapped, and half of the hot ones copied, once per cell: with everything below
# preloaded, a run costs a quarter more CPU than with `_SMALL` alone. So what is slow to import has a tier of its own.
_SMALL = (
    "abc", "bisect", "collections", "contextlib", "copy", "datetime", "enum", "functools", "heapq", "io", "itertools",
    "json", "math", "operator", "os", "random", "re", "string", "sys", "threading", "time", "types", "typing",
)  # fmt: skip
_LARGE = (
    "argparse", "ast", "asyncio", "base64", "concurrent.futures.process", "concurrent.futures.thread", "csv", "ctypes",
    "dataclasses", "decimal", "fractions", "glob", "hashlib", "http.client", "inspect", "logging",
    "multiprocessing.connection", "multiprocessing.pool", "pathlib", "pickle", "queue", "secrets", "shutil", "signal",
    "sqlite3", "statistics", "subprocess", "tempfile", "textwrap", "traceback", "unittest", "urllib.request", "uuid",
    "warnings", "weakref",
)  # fmt: skip
_SLOW = frozenset({
    "argparse", "asyncio", "concurrent", "dataclasses", "email", "hashlib", "http", "inspect", "logging",
    "multiprocessing", "pathlib", "secrets", "sqlite3", "statistics", "subprocess", "tempfile", "unittest", "urllib",
    "uuid",
})  # fmt: skip
"""What takes milliseconds to import: programs that do are served by the tier `standard`."""
_SCIENCE = ("numpy", "numpy.random", "pandas", "sympy", "sympy.core.random")


class Kind(StrEnum):
    """How a cell becomes the program."""

    PYTHON = "python"
    """In the interpreter that a zygote has preloaded: the warm path."""
    EXEC = "exec"
    """The cell is ready and walled in, and executes the run command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """One zygote's preload list, and the imports that call for it."""

    name: str
    preload: tuple[str, ...]
    """One that fails is fatal, by name."""
    optional: tuple[str, ...] = ()
    """Before these: what cannot be imported is left out."""
    serves: frozenset[str] = frozenset()
    """Top-level modules whose import in a program picks this tier."""


FILENAME = "main.py"
COMMAND = ("python3", FILENAME)
WORKDIR = "/work"
_PLAIN_TIERS = (
    Tier(name="bare", preload=_SMALL),
    Tier(name="standard", preload=_SMALL + _LARGE, serves=_SLOW),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Where programs of one name run."""

    name: str = "default"
    image: Path | None = None
    """Root directory of an unpacked image; None: the host's own programs and libraries."""
    digest: str = ""
    """Digest of the image, where it has one: tells two versions of an environment apart."""
    packages: Path | None = None
    """Without an image: a virtual environment, or an installation of Python; in the jail it stands at /opt/python."""
    filename: str = FILENAME
    """The file that the program becomes, in the working directory."""
    command: tuple[str, ...] = COMMAND
    """What runs it, there. The program's arguments are appended."""
    kind: Kind = Kind.PYTHON
    workdir: str = WORKDIR
    """The working directory: a tmpfs of the cell's own. Files that an image has there are found in it, as links."""
    variables: Mapping[str, str] = field(default_factory=dict)
    tiers: tuple[Tier, ...] = _PLAIN_TIERS
    """Of `Kind.PYTHON`, from small to large: a program goes to the last one that serves one of its imports, else to
    the first. Of `Kind.EXEC`: one, whose preloads are of no interest."""
    outputs: tuple[str, ...] = ()
    """Globs of files that come back of every run, beside those that a caller asks for."""
    limits: CellLimits | None = None
    """None: those of the sandbox."""
    compile: tuple[str, ...] = ()
    """Of `Kind.EXEC`: what makes the program out of the file, in a cell of its own; (): nothing has to."""
    binary: str = ""
    """The file that it makes, in the working directory. The run command starts it."""
    warm: str = ""
    """Of `Kind.EXEC`: language of the prelude (`preludes.PRELUDES`) in which its command, started before the program is
    there, waits for it; "": the command is executed when the program is there."""
    trial: str = ""
    """Of `Kind.EXEC`: a program that prints `ok`, to be run before the environment calls itself ready."""

    @property
    def options(self) -> tuple[str, ...]:
        """Options of the interpreter in the run command of `Kind.PYTHON`."""
        return self.command[1:-1] if self.kind is Kind.PYTHON else ()


_PYTHON = re.compile(r"(.*/)?python3?(\.\d+)?")
_OPTION = re.compile(r"-(?:[bBdOqRsuv]+|X.+|W.+)")
"""Options that change how an interpreter runs a program, not which one it runs nor where it looks for modules."""


def kind_of(command: Sequence[str], filename: str) -> Kind:
    """`PYTHON` if the command is an interpreter, harmless options and the file; a zygote can be started like that."""
    program, *options, last = ("", *command) if len(command) < 2 else command  # noqa: PLR2004
    warm = _PYTHON.fullmatch(program) and last == filename and all(map(_OPTION.fullmatch, options))
    return Kind.PYTHON if warm else Kind.EXEC


def default_environment(packages: Path) -> Environment:
    """Environment over the virtual environment `packages`: tier science only if its packages are there."""
    return Environment(packages=packages, tiers=tiers_for(packages))


def bare_environment() -> Environment:
    """Environment of the running interpreter's base installation, without any package."""
    return Environment(packages=Path(sys.base_prefix))


def tiers_for(prefix: Path) -> tuple[Tier, ...]:
    """Tiers of the installation of Python at `prefix`, by the packages that it has."""
    if not any(prefix.glob("lib/python3.*/site-packages/numpy")):
        return _PLAIN_TIERS
    serves = frozenset({"numpy", "pandas", "sympy", "scipy", "matplotlib"})
    return (*_PLAIN_TIERS, Tier(name="science", preload=_SMALL + _LARGE + _SCIENCE, serves=serves))


def tiers_with(preload: Sequence[str]) -> tuple[Tier, ...]:
    """Tiers of an image, whose standard library need not be whole: plain ones, and one with `preload` loaded.

    That one, `extra`, serves programs that import one of the modules.
    """
    bare = Tier(name="bare", preload=(), optional=_SMALL)
    standard = Tier(name="standard", preload=(), optional=_SMALL + _LARGE, serves=_SLOW)
    if not preload:
        return bare, standard
    serves = frozenset(module.partition(".")[0] for module in preload)
    return bare, standard, Tier(name="extra", preload=tuple(preload), optional=_SMALL + _LARGE, serves=serves)
