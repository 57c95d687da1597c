"""Environments: what a program finds around it. A root filesystem, an interpreter, preload tiers."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_STANDARD = (
    "abc", "argparse", "ast", "asyncio", "base64", "bisect", "collections", "concurrent.futures.process",
    "concurrent.futures.thread", "contextlib", "copy", "csv", "ctypes", "dataclasses", "datetime", "decimal",
    "enum", "fractions", "functools", "glob", "hashlib", "heapq", "inspect", "io", "itertools", "json", "linecache",
    "logging", "math", "multiprocessing.connection", "operator", "os", "pathlib", "pickle", "queue", "random", "re",
    "secrets", "shutil", "signal", "statistics", "string", "struct", "subprocess", "sys", "tempfile", "textwrap",
    "threading", "time", "tokenize", "traceback", "types", "typing", "unittest", "uuid", "warnings", "weakref",
)  # fmt: skip
_SCIENCE = ("numpy", "numpy.random", "pandas", "sympy", "sympy.core.random")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """One zygote's preload list, and the imports that call for it."""

    name: str
    preload: tuple[str, ...]
    serves: frozenset[str] = frozenset()
    """Top-level modules whose import in a program picks this tier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """A Python environment made of the host's own interpreter and a folder of packages."""

    name: str = "default"
    root: Path
    """A virtual environment; in the jail it stands at /opt/python."""
    tiers: tuple[Tier, ...] = ()
    """The first one is for programs that no other tier serves."""
    variables: Mapping[str, str] = field(default_factory=dict)


def default_environment(root: Path) -> Environment:
    """Environment over the virtual environment `root`: tier science only if its packages are there."""
    tiers = [Tier(name="bare", preload=_STANDARD)]
    if any(root.glob("lib/python3.*/site-packages/numpy")):
        serves = frozenset({"numpy", "pandas", "sympy", "scipy", "matplotlib"})
        tiers.append(Tier(name="science", preload=_STANDARD + _SCIENCE, serves=serves))
    return Environment(root=root, tiers=tuple(tiers))


def bare_environment() -> Environment:
    """Environment of the running interpreter's base installation, without any package."""
    return Environment(root=Path(sys.base_prefix), tiers=(Tier(name="bare", preload=_STANDARD),))
