"""Where an environment has the programs that it names, and the variables that they find."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.errors import SandboxUnavailable
from sandbox.host.image import DEFAULT_PATH, which

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.environment import Environment, Tier

PACKAGES = "/opt/python"
FONTS = "share/matplotlib"
"""Folder of the packages with matplotlib's cache; who installs them makes it."""
_THREADS = str(min(8, os.cpu_count() or 1))
_VARIABLES = {
    "HOME": "/tmp",
    "LANG": "C.UTF-8",
    # A thread per processor of a large machine would pass the limit of processes, and numpy dies of that.
    "OPENBLAS_NUM_THREADS": _THREADS,
    "OMP_NUM_THREADS": _THREADS,
}


def variables(environment: Environment) -> dict[str, str]:
    """Variables of a program in `environment` whose caller asks for none."""
    path = DEFAULT_PATH if environment.image else f"{PACKAGES}/bin:/usr/local/bin:/usr/bin:/bin"
    return {"PATH": path, **_VARIABLES, **environment.variables}


def locate(environment: Environment, program: str) -> str | None:
    """Path in the jail of a program that is named as in a shell; None if it is not there or cannot be executed."""
    search = variables(environment)["PATH"]
    if environment.image is not None:
        return which(environment.image, program, search)
    bundled = f"{PACKAGES}/bin/"
    name = program if "/" not in program else program.removeprefix(bundled)
    if environment.packages is not None and "/" not in name and (environment.packages / "bin" / name).exists():
        return f"{bundled}{name}"
    return which(Path("/"), program, search)


def links(environment: Environment, tier: Tier) -> dict[str, str]:
    """What cells of the tier find beside an empty `/tmp`, as links into the packages: matplotlib's list of fonts.

    It would cost every program that plots 0.1 s of processor time to make it anew.
    """
    if environment.packages is None or environment.image is not None or "matplotlib" not in tier.serves:
        return {}
    found = environment.packages.glob(f"{FONTS}/fontlist-*.json")
    return {f"{_VARIABLES['HOME']}/.cache/matplotlib/{path.name}": f"{PACKAGES}/{FONTS}/{path.name}" for path in found}


def require(environment: Environment) -> str:
    """Path in the jail of what the run command starts. Raises SandboxUnavailable."""
    return _require(environment, environment.command, "run")


def steps(environment: Environment) -> dict[str, list[str]]:
    """Path and words of the command of each step, of an environment of `Kind.EXEC`. Raises SandboxUnavailable."""
    if not environment.compile:
        return {"run": [require(environment), *environment.command]}
    compiler = _require(environment, environment.compile, "compile")
    # What is run is not there yet.
    return {"compile": [compiler, *environment.compile], "run": [environment.command[0], *environment.command]}


def _require(environment: Environment, command: Sequence[str], what: str) -> str:
    found = locate(environment, command[0])
    if found is None:
        where = "the image" if environment.image else "this machine"
        raise SandboxUnavailable(
            f"environment {environment.name}: {where} has no executable {command[0]} for the {what} command "
            f"`{' '.join(command)}`"
        )
    return found
