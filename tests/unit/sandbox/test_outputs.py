"""Bringing files back from a folder that a hostile program filled."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox import Limits
from sandbox.host.outputs import collect

if TYPE_CHECKING:
    from pathlib import Path


def bring(folder: Path, *globs: str, files_count: int = 256, files_bytes: int = 16 << 20) -> dict[str, bytes]:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return collect(fd, globs, Limits(files_count=files_count, files_bytes=files_bytes))
    finally:
        os.close(fd)


def put(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  a number only


GLOBS = [
    ("a.txt", {"a.txt"}),
    ("*.txt", {"a.txt", "b.txt"}),
    ("?.txt", {"a.txt", "b.txt"}),
    ("[ab].txt", {"a.txt", "b.txt"}),
    ("[b].txt", {"b.txt"}),
    ("[!b].txt", {"a.txt"}),
    ("[a-b].txt", {"a.txt", "b.txt"}),
    ("d[+-9]a.txt", set()),
    ("[z-a]", set()),
    ("[a--].txt", set()),
    ("[--b].txt", {"a.txt", "b.txt"}),
    ("[b-].txt", {"b.txt"}),
    ("[^]", set()),
    ("*", {"a.txt", "b.txt", "c"}),
    ("d/*", {"d/a.txt"}),
    ("*/*.txt", {"d/a.txt"}),
    ("**/*.txt", {"a.txt", "b.txt", "d/a.txt", "d/e/a.txt"}),
    ("d/**", {"d/a.txt", "d/e/a.txt"}),
    ("**", {"a.txt", "b.txt", "c", "d/a.txt", "d/e/a.txt"}),
    ("d", set()),
    ("../*", set()),
    ("/etc/passwd", set()),
    ("a.tx", set()),
]


@pytest.mark.parametrize(("glob", "found"), GLOBS)
def test_a_glob_finds(glob: str, found: set[str], tmp_path: Path) -> None:
    put(tmp_path, "a.txt", "b.txt", "c", "d/a.txt", "d/e/a.txt")

    assert set(bring(tmp_path, glob)) == found


def test_links_pipes_and_sockets_are_passed_by(tmp_path: Path) -> None:
    put(tmp_path, "real")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "out").symlink_to("/etc/passwd")
    (tmp_path / "up").symlink_to("..")
    os.mkfifo(tmp_path / "pipe")
    folder = os.open(tmp_path, os.O_PATH)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"/proc/self/fd/{folder}/socket")
    os.close(folder)

    assert bring(tmp_path, "**") == {"real": b"real"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
def test_devices_are_passed_by(tmp_path: Path) -> None:
    os.mknod(tmp_path / "zero", 0o20666, os.makedev(1, 5))

    assert bring(tmp_path, "**") == {}


def test_odd_names_come_back_and_names_that_are_no_text_do_not(tmp_path: Path) -> None:
    names = ["new\nline", " ", "-rf", "..x", "\u202e", "x" * 255]
    put(tmp_path, *names)
    os.close(os.open(os.fsencode(tmp_path) + b"/\xff", os.O_CREAT | os.O_WRONLY))

    assert set(bring(tmp_path, "**")) == set(names)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_passed_by(tmp_path: Path) -> None:
    put(tmp_path, "open", "closed", "shut/in")
    (tmp_path / "closed").chmod(0)
    (tmp_path / "shut").chmod(0)
    found = bring(tmp_path, "**")
    (tmp_path / "shut").chmod(0o700)

    assert set(found) == {"open"}


def test_a_tree_deeper_than_the_bound_ends_there(tmp_path: Path) -> None:
    deep = os.open(tmp_path, os.O_RDONLY)
    for _ in range(600):
        os.mkdir("d", dir_fd=deep)
        os.close(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=deep))
        below = os.open("d", os.O_RDONLY, dir_fd=deep)
        os.close(deep)
        deep = below
    os.close(deep)

    assert len(bring(tmp_path, "**")) == 33


def test_bounds_of_count_and_bytes_hold(tmp_path: Path) -> None:
    put(tmp_path, "1", "2", "3")
    (tmp_path / "big").write_bytes(b"x" * 1000)
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 40)

    assert set(bring(tmp_path, "*", files_count=2)) == {"1", "2"}
    assert set(bring(tmp_path, "*", files_bytes=3)) == {"1", "2", "3"}
    assert set(bring(tmp_path, "*", files_bytes=1003)) == {"1", "2", "3", "big"}


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    put(tmp_path, *(f"{n}/{m}" for n in range(5) for m in range(5)))
    before = descriptors()
    bring(tmp_path, "**", files_count=3)
    bring(tmp_path, "never")

    assert descriptors() == before


@given(glob=st.text(st.sampled_from("ab*?[]!/.^\\-+(){}|$"), max_size=12))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
def test_no_glob_is_an_error_or_finds_what_is_not_there(glob: str, tmp_path: Path) -> None:
    put(tmp_path, "a", "b/a")

    assert set(bring(tmp_path, glob)) <= {"a", "b/a"}
