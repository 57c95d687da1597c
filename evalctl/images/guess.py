"""What an unpacked image is for, if nobody says: the run command, by the interpreters that it has, and preloads."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from evalctl.images.errors import ImageError
from sandbox.environments_file import words_of
from sandbox.host.image import DEFAULT_PATH, which

if TYPE_CHECKING:
    from pathlib import Path

    from evalctl.images.store import Image

_KNOWN = (
    ("python3", "main.py", "python3 main.py"),
    ("python", "main.py", "python main.py"),
    ("node", "main.js", "node main.js"),
    ("ruby", "main.rb", "ruby main.rb"),
    ("perl", "main.pl", "perl main.pl"),
    ("bash", "main.sh", "bash main.sh"),
    ("sh", "main.sh", "sh main.sh"),
)
_PROCESSES = {"node": 64}
"""One node has eleven threads."""
_SITES = ("usr/local/lib/python3.*/site-packages", "usr/lib/python3*/dist-packages", "usr/lib/python3.*/site-packages",
          "opt/*/lib/python3.*/site-packages")  # fmt: skip
_WORTH = ("numpy", "pandas", "sympy")
"""What takes long to import, and bears a fork: it starts no thread."""


def keys_for(image: Image, root: Path, *, filename: str | None, command: str | None) -> dict[str, Any]:
    """Keys of an environment over the image. Raises ImageError: it has nothing to run programs with."""
    search = image.env.get("PATH", DEFAULT_PATH)
    if command is not None:
        program = _program(command)
        if which(root, program, search) is None:
            raise ImageError(f"{image.reference} has no {program} to run programs with ({command}; PATH is {search})")
        return {"filename": filename, "command": command} if filename else {"command": command}
    for program, file, line in _KNOWN:
        if which(root, program, search) is not None:
            limits = {"limits": {"processes": _PROCESSES[program]}} if program in _PROCESSES else {}
            return {"filename": filename or file, "command": line.replace(file, filename or file), **limits}
    names = ", ".join(program for program, _, _ in _KNOWN)
    raise ImageError(f"{image.reference} has none of {names} on its PATH; say what runs a program: --command")


def _program(command: str) -> str:
    with contextlib.suppress(ValueError):  # an open quotation
        if words := words_of(command):
            return words[0]
    raise ImageError(f"{command!r} is not a run command, such as 'python3 main.py'")


def preloads(root: Path) -> list[str]:
    """Packages in the image that are worth to be loaded before programs come."""
    sites = [site for pattern in _SITES for site in root.glob(pattern)]
    return [name for name in _WORTH if any((site / name / "__init__.py").exists() for site in sites)]
