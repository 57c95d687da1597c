"""A worker's own folder, and those that others leave."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from worker import folder as folders
from worker.folder import NoFolder, own_folder

if TYPE_CHECKING:
    from pathlib import Path


def test_what_a_killed_worker_left_goes_and_what_a_living_one_has_stays(tmp_path: Path):
    (tmp_path / "worker-killed" / "jails").mkdir(parents=True)
    with own_folder(tmp_path, "a") as first, own_folder(tmp_path, "b") as second:
        assert sorted(tmp_path.iterdir()) == [first, second]
    assert not list(tmp_path.iterdir())


def test_no_place_for_the_folder_is_said_with_the_way_out(tmp_path: Path):
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(NoFolder, match=r"cannot be written to \(.+\): set EVAL_STATE_DIR"), own_folder(file, "a"):
        pass


def test_a_worker_starts_while_another_one_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The folder that was seen a moment ago is gone when it is looked into."""
    ending = tmp_path / "worker-ending"
    ending.mkdir()

    def open_(path: Any, flags: int) -> int:
        if path == ending:
            ending.rmdir()
        return real(path, flags)

    real = os.open
    monkeypatch.setattr(folders.os, "open", open_)
    with own_folder(tmp_path, "starting") as folder:
        assert list(tmp_path.iterdir()) == [folder]
