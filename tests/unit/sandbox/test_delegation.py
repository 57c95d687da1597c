"""Which group of cgroup version 2 is ours to divide, and how it is made able to."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from sandbox.host import delegation
from sandbox.host.delegation import hand_down, place_for_cells


def group(folder: Path, *, has: str = "memory pids", hands_down: str = "", processes: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("controllers", has), ("subtree_control", hands_down), ("procs", processes)):
        (folder / f"cgroup.{name}").write_text(text)
    return folder


def test_a_group_that_hands_its_controllers_down_is_used_as_it_is(tmp_path: Path) -> None:
    folder = group(tmp_path / "a", hands_down="memory pids")

    assert place_for_cells(tmp_path, "/a") == folder
    hand_down(folder)
    assert (folder / "cgroup.subtree_control").read_text() == "memory pids"


def test_all_that_a_container_sees_is_its_own(tmp_path: Path) -> None:
    assert place_for_cells(group(tmp_path), "/") == tmp_path


def test_what_systemd_did_not_delegate_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = group(tmp_path / "session.scope")
    assert place_for_cells(tmp_path, "/session.scope") is None

    monkeypatch.setattr(delegation.os, "getxattr", lambda _, name: b"1" if name == "user.delegate" else b"0")
    assert place_for_cells(tmp_path, "/session.scope") == folder


@pytest.mark.parametrize("has", ["", "cpu memory", "cpu pids"])
def test_a_group_without_the_controllers_is_none(tmp_path: Path, has: str) -> None:
    assert place_for_cells(group(tmp_path, has=has), "/") is None
    assert place_for_cells(tmp_path, "/there-is-no-such-group") is None


def test_processes_move_inside_where_they_are_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's refusal is played: a folder does not know that a group with processes hands nothing down."""
    folder, real, moved = group(tmp_path / "a", processes="11\n12\n"), Path.write_text, []

    def write_text(file: Path, text: str) -> int:
        if file.parent.name == "evalpool.inner":
            moved.append(text)
            return 0
        if len(moved) < 2:
            raise OSError(errno.EBUSY, "busy")
        return real(file, text)

    monkeypatch.setattr(Path, "write_text", write_text)
    hand_down(folder)

    assert (moved, (folder / "cgroup.subtree_control").read_text()) == (["11", "12"], "+memory +pids")
    assert place_for_cells(folder, "/evalpool.inner") == folder


def test_processors_are_shared_out_by_cell_where_that_can_be_had(tmp_path: Path) -> None:
    folder = group(tmp_path, has="cpu memory pids", hands_down="memory pids")
    hand_down(folder)

    assert (folder / "cgroup.subtree_control").read_text() == "+cpu"
