"""Look into an unpacked image as its own programs would see it: links lead nowhere but back into it."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MOST_LINKS = 40


def resolve(root: Path, path: str) -> PurePosixPath | None:
    """Where `path` leads below `root`, as a path inside; None if nothing is there, or links lead in a circle."""
    done, todo, links = PurePosixPath("/"), list(reversed(PurePosixPath(path).parts)), 0
    while todo:
        part = todo.pop()
        if part in ("/", ".."):
            done = PurePosixPath("/") if part == "/" else done.parent
            continue
        done /= part
        host = on_host(root, done)
        if host.is_symlink():
            links += 1
            if links > _MOST_LINKS:
                return None
            todo.extend(reversed(PurePosixPath(host.readlink()).parts))
            done = done.parent
        elif not os.path.lexists(host):
            return None
    return done


def on_host(root: Path, inside: PurePosixPath) -> Path:
    """Path on the host of a resolved path inside."""
    return root.joinpath(*inside.parts[1:])


def which(root: Path, program: str, search: str) -> str | None:
    """Path inside of an executable, as a shell with PATH `search` finds it; None if there is none."""
    for candidate in _candidates(program, search):
        found = resolve(root, candidate)
        if found is not None and _is_executable(on_host(root, found)):
            return candidate
    return None


def _candidates(program: str, search: str) -> Iterator[str]:
    if "/" in program:
        yield program
        return
    for folder in search.split(":"):
        if folder.startswith("/"):
            yield f"{folder}/{program}"


def _is_executable(file: Path) -> bool:
    try:
        return file.is_file() and bool(file.stat().st_mode & 0o111)
    except OSError:
        return False
