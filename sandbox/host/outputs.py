"""Brings files back from a dead cell's working directory: by glob, bounded, never through a link.

Runs after every process of the cell is dead, so nothing moves under it. Names are what a hostile program chose.
"""

from __future__ import annotations

import os
import re
import stat
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sandbox.spec import Limits

_DEPTH = 32
_ENTRIES = 20_000
_MOST_S = 1.0
_NOFOLLOW = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def collect(directory: int, globs: Sequence[str], limits: Limits) -> dict[str, bytes]:
    """Path -> content of the regular files below `directory` that match any of `globs`.

    Leaves out what does not fit into `limits`; stops after `_ENTRIES` names or `_MOST_S` seconds. For a thread: blocks.
    `*` and `?` stay within one part of a path, `**` spans any number of parts.
    """
    pattern = re.compile("|".join(_regex(glob) for glob in globs))
    found: dict[str, bytes] = {}
    room, until = limits.files_bytes, time.monotonic() + _MOST_S
    for path, fd in _walk(directory, "", _DEPTH, iter(range(_ENTRIES))):
        with os.fdopen(fd, "rb") as file:
            # The size first: a thousand links to one file that does not fit must not be read a thousand times.
            fits = len(found) < limits.files_count and os.fstat(fd).st_size <= room
            if fits and pattern.fullmatch(path):
                found[path] = file.read(room)
                room -= len(found[path])
        if time.monotonic() > until:
            break
    return found


def _regex(glob: str) -> str:
    groups = [""]
    for part in glob.split("/"):
        if part == "**":
            groups.append("")
        else:
            groups[-1] += _part(part) + "/"
    groups[-1] = groups[-1].removesuffix("/") or "[^/]+"
    return _with_gaps(groups, "(?:[^/]+/)")


def _part(glob: str) -> str:
    chunks = [""]
    for piece in re.split(r"(\*|\?|\[[^\]]+\])", glob):
        if piece == "*":
            chunks.append("")
        elif piece == "?":
            chunks[-1] += "[^/]"
        else:
            chunks[-1] += _class(piece) if piece.startswith("[") and piece.endswith("]") else re.escape(piece)
    return _with_gaps(chunks, "[^/]")


def _with_gaps(pieces: list[str], gap: str) -> str:
    """The pieces in order, between any two any number of gaps.

    All but the last stay where they fit first (atomic groups): that loses no match, and without it a glob and a
    name with many stars and many letters take longer than the age of the universe.
    """
    first, *others = pieces
    if not others:
        return first
    *middle, last = others
    return first + "".join(f"(?>{gap}*?{piece})" for piece in middle if piece) + f"{gap}*{last}"


def _class(text: str) -> str:
    """A character class of a glob as one of a regex; what is none ("[z-a]") stands for itself."""
    inner = text[1:-1]
    characters = re.escape(inner.removeprefix("!")).replace(r"\-", "-")
    characters = re.sub("(?<=.)--", r"-\\-", characters)  # the same, but `re` warns of what it may mean one day
    try:
        re.compile(f"[{characters}]")
    except re.error:
        return re.escape(text)
    return f"(?!/)[{'^' * inner.startswith('!')}{characters}]"


def _walk(directory: int, prefix: str, depth: int, budget: Iterator[int]) -> Iterator[tuple[str, int]]:
    """Relative path and open descriptor of every regular file, depth first; the consumer closes it."""
    for name in sorted(_names(directory)):
        if next(budget, None) is None:
            return
        try:
            fd = os.open(name, _NOFOLLOW, dir_fd=directory)
        except OSError:  # a link, a socket, a file without permission
            continue
        mode = os.fstat(fd).st_mode
        if stat.S_ISREG(mode):
            yield prefix + name, fd
            continue
        try:
            if stat.S_ISDIR(mode) and depth:
                yield from _walk(fd, f"{prefix}{name}/", depth - 1, budget)
        finally:
            os.close(fd)


def _names(directory: int) -> Iterable[str]:
    """Names that are text: a name that is not UTF-8 cannot be told in JSON."""
    for name in os.listdir(directory):
        try:
            name.encode()
        except UnicodeEncodeError:
            continue
        yield name
