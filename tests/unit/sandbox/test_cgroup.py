"""The control files of both versions, on folders that look like them."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.host.cgroup import V1, V2, CellGroup, Files, GroupUsage, Hierarchy

VERSIONS = [pytest.param(V1, "under_oom 0\noom_kill {}\n", id="1"), pytest.param(V2, "oom 9\noom_kill {}\n", id="2")]
CONTROL_FILES = {"cgroup.procs", "pids.max", "memory.oom.group", "cpu.weight"} | {
    name for files in (V1, V2) for name in (files.limit, files.peak, files.events)
}


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the memory group is made; a folder there comes with its control files, as in the real hierarchy."""
    real = Path.mkdir

    def mkdir(folder: Path, *args: int, **options: bool) -> None:
        real(folder, *args, **options)
        if folder.parent == tmp_path:
            for name in CONTROL_FILES:
                (folder / name).touch()

    monkeypatch.setattr(Path, "mkdir", mkdir)
    return tmp_path / "memory"


@pytest.mark.parametrize(("files", "events"), VERSIONS)
def test_a_group_counts_from_its_cell_on(files: Files, events: str, memory: Path) -> None:
    group = CellGroup(files, memory, memory if files is V2 else memory.with_name("pids"))
    (memory / files.events).write_text(events.format(3))
    procs = group.join()
    group.limit_memory(1 << 20)
    (memory / files.events).write_text(events.format(4))
    (memory / files.peak).write_text("4096\n")

    assert group.usage() == GroupUsage(peak_bytes=4096, oom_kills=1)
    assert len(procs) == (1 if files is V2 else 2)
    assert (memory / files.limit).read_text().endswith("1048576")
    group.join()
    assert group.usage().oom_kills == 0
    group.close()


@pytest.mark.parametrize("files", [V1, V2])
def test_a_group_bounds_processes_and_dies_whole_where_it_can(files: Files, memory: Path) -> None:
    group = CellGroup(files, memory, memory.with_name("pids"))
    group.limit_processes(64)
    group.close()

    assert (memory.with_name("pids") / "pids.max").read_text() == "64"
    assert (memory / "memory.oom.group").read_text() == ("1" if files is V2 else "")
    assert (memory / "cpu.weight").read_text() == ("64" if files is V2 else ""), "a cell weighs as one process"


def test_a_peak_that_cannot_begin_anew_is_no_peak(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Version 2 before Linux 6.12: the file tells the most of all cells of the slot so far."""
    group = CellGroup(V2, memory, memory)
    monkeypatch.setattr(group, "_peak", None)
    group.join()

    assert group.limit_memory(1 << 20)
    assert group.usage() == GroupUsage(peak_bytes=None, oom_kills=0)
    group.close()


@pytest.mark.parametrize("files", [V1, V2])
def test_a_group_does_not_swap(files: Files, memory: Path) -> None:
    CellGroup(files, memory, memory.with_name("pids")).close()

    assert (memory / "memory.swap.max").read_text() == "0"
    assert (memory / "memory.swappiness").read_text() == "0"


def test_groups_of_the_dead_are_swept_and_no_others(tmp_path: Path) -> None:
    hierarchy = Hierarchy(files=V2, memory=tmp_path, pids=tmp_path)
    for name in ("evalpool-1-0-0", "evalpool-4194999-0-0", "evalpool-4194999-1-7", "other"):
        (tmp_path / name).mkdir()
    hierarchy.sweep()

    assert {path.name for path in tmp_path.iterdir()} == {"evalpool-1-0-0", "other"}
