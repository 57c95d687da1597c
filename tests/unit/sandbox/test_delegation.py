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


def systemctl(folder: Path, answer: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A systemd that answers so; the file with what it was asked."""
    folder.mkdir()
    program, asked = folder / "systemctl", folder / "asked"
    program.write_text(f'#!/bin/sh\necho "$@" >> {asked}\n{answer}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return asked


@pytest.mark.parametrize("answer", ["echo no", "exit 1", "echo; echo yes >&2"])
def test_what_systemd_did_not_delegate_is_left_alone(
    answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = systemctl(tmp_path / "bin", answer, monkeypatch)
    group(tmp_path / "session.scope")

    assert place_for_cells(tmp_path, "/session.scope") is None
    assert asked.read_text() == "show --property=Delegate --value -- session.scope\n"


def test_a_systemd_that_is_not_there_has_delegated_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    group(tmp_path / "session.scope")

    assert place_for_cells(tmp_path, "/session.scope") is None


def test_a_users_own_systemd_marks_nothing_and_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So found with systemd 252: `systemd-run --user --scope -p Delegate=yes` leaves no mark on the group."""
    asked = systemctl(tmp_path / "bin", "echo yes", monkeypatch)
    own = "user.slice/user@1000.service/app.slice/run-r1.scope"
    folder = group(tmp_path / own)

    assert place_for_cells(tmp_path, f"/{own}") == folder
    assert asked.read_text() == "--user show --property=Delegate --value -- run-r1.scope\n"


def test_what_systemd_marked_as_delegated_is_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = group(tmp_path / "session.scope")
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


def test_what_is_forked_while_its_parent_moves_is_moved_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, real, moved = group(tmp_path / "a", processes="11\n"), Path.write_text, []

    def write_text(file: Path, text: str) -> int:
        if file.parent.name == "evalpool.inner":
            moved.append(text)
            return real(folder / "cgroup.procs", "12\n" if text == "11" else "")
        if (folder / "cgroup.procs").read_text():
            raise OSError(errno.EBUSY, "busy")
        return real(file, text)

    monkeypatch.setattr(Path, "write_text", write_text)
    hand_down(folder)

    assert (moved, (folder / "cgroup.subtree_control").read_text()) == (["11", "12"], "+memory +pids")


def test_a_group_that_stays_busy_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = group(tmp_path / "a", processes="11\n")
    monkeypatch.setattr(Path, "write_text", lambda *_: (_ for _ in ()).throw(OSError(errno.EBUSY, "busy")))

    with pytest.raises(OSError, match="busy"):
        hand_down(folder)


def test_processors_are_shared_out_by_cell_where_that_can_be_had(tmp_path: Path) -> None:
    folder = group(tmp_path, has="cpu memory pids", hands_down="memory pids")
    hand_down(folder)

    assert (folder / "cgroup.subtree_control").read_text() == "+cpu"
