"""Globs come from a caller, names from a hostile program: any pair is decided at once, and rightly."""

from __future__ import annotations

import os
import re
import time
from functools import cache
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peers import descriptors

from sandbox import Limits
from sandbox.host import outputs
from sandbox.host.outputs import _regex

if TYPE_CHECKING:
    from pathlib import Path

parts = st.text("ab*?", min_size=1, max_size=5) | st.just("**")
globs = st.lists(parts, min_size=1, max_size=5).map("/".join)
paths = st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=5).map("/".join)


@cache
def fits(glob: tuple[str, ...], path: tuple[str, ...]) -> bool:
    """What a glob means, by trying everything."""
    if glob == ("**",):
        return bool(path)
    if not glob or not path:
        return not glob and not path
    if glob[0] == "**":
        return fits(glob[1:], path) or fits(glob, path[1:])
    return part_fits(glob[0], path[0]) and fits(glob[1:], path[1:])


@cache
def part_fits(glob: str, name: str) -> bool:
    if not glob or not name:
        return not name and set(glob) <= {"*"}
    if glob[0] == "*":
        return part_fits(glob[1:], name) or part_fits(glob, name[1:])
    return glob[0] in ("?", name[0]) and part_fits(glob[1:], name[1:])


@given(globs, paths)
def test_a_glob_fits_what_it_means(glob: str, path: str) -> None:
    assert bool(re.fullmatch(_regex(glob), path)) == fits(tuple(glob.split("/")), tuple(path.split("/")))


@pytest.mark.parametrize(
    ("glob", "path"),
    [
        ("*a" * 126 + "b", "a" * 255),
        ("**/" + "*a" * 126 + "b", "a" * 255),
        ("/".join(["**", "a"] * 15) + "/b", "/".join("a" * 32)),
        ("/".join(["**", "*a*"] * 15) + "/b", "/".join(["a" * 255] * 32)),
        ("/".join(["**"] * 31) + "/b", "/".join("a" * 32)),
    ],
    ids=["stars", "stars deep", "folders", "stars in folders", "folders only"],
)
def test_no_glob_and_no_name_take_long(glob: str, path: str) -> None:
    pattern = re.compile(_regex(glob))
    started = time.process_time()

    assert not pattern.fullmatch(path)
    assert time.process_time() - started < 5


def test_a_tree_that_takes_too_long_is_left_in_time_and_leaves_nothing_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outputs, "_MOST_S", 0.0)
    for name in ("a", "b", "c"):
        (tmp_path / "d" / "e" / name).mkdir(parents=True)
        (tmp_path / "d" / "e" / name / "x").touch()
    directory = os.open(tmp_path, os.O_RDONLY)
    before = descriptors()

    assert outputs.collect(directory, ["**"], Limits()) == {"d/e/a/x": b""}
    assert descriptors() == before
    os.close(directory)
