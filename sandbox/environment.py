"""Environments: what a program finds around it. A root filesystem, an interpreter, preload tiers."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# Every page that a zygote holds is mapped, and half of the hot ones copied, once per cell: with everything below
# preloaded, a run costs a quarter more CPU than with `_SMALL` alone. So what is slow to import has a tier of its own.
_SMALL = (
    "abc", "bisect", "collections", "contextlib", "copy", "dataclasses", "datetime", "enum", "functools", "heapq", "io",
    "itertools", "json", "math", "operator", "os", "random", "re", "string", "sys", "threading", "time", "types",
    "typing",
)  # fmt: skip
_LARGE = (
    "argparse", "ast", "asyncio", "base64", "concurrent.futures.process", "concurrent.futures.thread", "csv", "ctypes",
    "decimal", "fractions", "glob", "hashlib", "http.client", "inspect", "logging", "multiprocessing.connection",
    "multiprocessing.pool", "pathlib", "pickle", "queue", "secrets", "shutil", "signal", "sqlite3", "statistics",
    "subprocess", "tempfile", "textwrap", "traceback", "unittest", "urllib.request", "uuid", "warnings", "weakref",
)  # fmt: skip
_SLOW = frozenset({
    "argparse", "asyncio", "concurrent", "email", "hashlib", "http", "logging", "multiprocessing", "pathlib", "secrets",
    "sqlite3", "statistics", "subprocess", "tempfile", "unittest", "urllib", "uuid",
})  # fmt: skip
"""What takes milliseconds to import: programs that do are served by the tier `standard`."""
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
    """From small to large. A program goes to the last one that serves one of its imports, else to the first."""
    variables: Mapping[str, str] = field(default_factory=dict)


_PLAIN_TIERS = (
    Tier(name="bare", preload=_SMALL),
    Tier(name="standard", preload=_SMALL + _LARGE, serves=_SLOW),
)


def default_environment(root: Path) -> Environment:
    """Environment over the virtual environment `root`: tier science only if its packages are there."""
    tiers = list(_PLAIN_TIERS)
    if any(root.glob("lib/python3.*/site-packages/numpy")):
        serves = frozenset({"numpy", "pandas", "sympy", "scipy", "matplotlib"})
        tiers.append(Tier(name="science", preload=_SMALL + _LARGE + _SCIENCE, serves=serves))
    return Environment(root=root, tiers=tuple(tiers))


def bare_environment() -> Environment:
    """Environment of the running interpreter's base installation, without any package."""
    return Environment(root=Path(sys.base_prefix), tiers=_PLAIN_TIERS)
