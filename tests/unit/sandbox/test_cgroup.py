"""The control files of both versions, on folders that look like them."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.host import slots as host_slots
from sandbox.host.cgroup import V1, V2, CellGroup, Files, GroupUsage, Hierarchy
from sandbox.host.slots import Slots

VERSIONS = [pytest.param(V1, id="1"), pytest.param(V2, id="2")]
CONTROL_FILES = {"cgroup.procs", "tasks", "pids.max", "memory.oom.group", "cpu.weight", "cpu.shares"} | {
    name for files in (V1, V2) for name in (files.limit, files.usage, files.peak, files.events, files.refusals[0])
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


def tell(memory: Path, files: Files, *, kills: int, refusals: int) -> None:
    """Have a group's files tell so much."""
    if files is V1:
        (memory / "memory.oom_control").write_text(f"oom_kill_disable 0\nunder_oom 0\noom_kill {kills}\n")
        (memory / "memory.failcnt").write_text(f"{refusals}\n")
    else:
        text = f"low 0\nhigh 0\nmax 99\noom {refusals}\noom_kill {kills}\noom_group_kill {kills}\n"
        (memory / "memory.events").write_text(text)


@pytest.mark.parametrize("files", VERSIONS)
def test_a_group_counts_from_its_cell_on(files: Files, memory: Path) -> None:
    places = [memory, memory] if files is V2 else [memory, memory.with_name("pids"), memory.with_name("cpu")]
    group = CellGroup(files, *places)
    tell(memory, files, kills=3, refusals=5)
    procs = group.join()
    group.limit_memory(1 << 20)
    tell(memory, files, kills=4, refusals=7)
    (memory / files.peak).write_text("4096\n")

    assert group.usage() == GroupUsage(peak_bytes=4096, oom_kills=1, refusals=2)
    assert len(procs) == (1 if files is V2 else 3)
    assert (memory / files.limit).read_text().endswith("1048576")
    group.join()
    assert (group.usage().oom_kills, group.usage().refusals) == (0, 0)
    group.remove()


@pytest.mark.parametrize("files", VERSIONS)
@pytest.mark.parametrize(("kills", "refusals", "whose"), [(0, 0, ""), (0, 4, ""), (1, 4, "own"), (1, 0, "another")])
def test_a_kill_is_for_the_groups_own_limit_only_if_that_was_reached(
    kills: int, refusals: int, whose: str, files: Files, memory: Path
) -> None:
    """The kernel counts a kill in the group of the process, whichever limit it was for."""
    group = CellGroup(files, memory, memory)
    tell(memory, files, kills=1, refusals=1)
    group.join()
    tell(memory, files, kills=1 + kills, refusals=1 + refusals)
    usage = group.usage()
    group.remove()

    assert (usage.is_starved, usage.is_robbed) == (whose == "own", whose == "another")


@pytest.mark.parametrize("files", [V1, V2])
def test_a_group_bounds_processes_and_dies_whole_where_it_can(files: Files, memory: Path) -> None:
    cpu = None if files is V2 else memory.with_name("cpu")
    group = CellGroup(files, memory, memory.with_name("pids"), cpu)
    group.limit_processes(64)
    group.remove()

    assert (memory.with_name("pids") / "pids.max").read_text() == "64"
    assert (memory / "memory.oom.group").read_text() == ("1" if files is V2 else "")


@pytest.mark.parametrize("files", [V1, V2])
def test_each_cell_of_a_group_is_young_once(files: Files, memory: Path) -> None:
    cpu = None if files is V2 else memory.with_name("cpu")
    group = CellGroup(files, memory, memory.with_name("pids"), cpu)
    for step in (group.join, group.join, group.grow_up, group.join):
        step()
    group.remove()

    share = memory / "cpu.weight" if cpu is None else cpu / "cpu.shares"
    assert share.read_bytes() == files.young + files.grown + files.young, "what did not change is not written"


def test_without_the_controller_cells_grow_up_unnoticed(memory: Path) -> None:
    group = CellGroup(V1, memory, memory.with_name("pids"))
    group.join()
    group.grow_up()
    group.remove()


def test_a_peak_that_cannot_begin_anew_is_no_peak(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Version 2 before Linux 6.12: the file tells the most of all cells of the slot so far."""
    group = CellGroup(V2, memory, memory)
    monkeypatch.setattr(group, "_peak", None)
    group.join()

    assert group.limit_memory(1 << 20)
    assert group.usage() == GroupUsage(peak_bytes=None, oom_kills=0, refusals=0)
    group.remove()


@pytest.mark.parametrize("files", [V1, V2])
def test_a_slot_gets_a_new_group_when_the_old_one_stays_charged(
    files: Files, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a cell read first would count for the next one, and is kept by whoever holds on to it."""
    slots = Slots(1, Hierarchy(files=files, memory=memory.parent, pids=memory.parent), name="slot")
    first = slots.group(0, 32)
    usage = memory.parent / "slot-0" / files.usage
    usage.write_text("100000\n")

    assert slots.group(0, 32) is first
    usage.write_text("100000000\n")
    second = slots.group(0, 32)
    assert second is not None
    assert second is not first
    (memory.parent / "slot-1" / files.usage).write_text("0\n")
    assert slots.group(0, 32) is second
    monkeypatch.setattr(host_slots, "_PATIENCE_S", 0.0)  # files make these folders stay
    slots.close()


@pytest.mark.parametrize("files", [V1, V2])
def test_a_group_does_not_swap(files: Files, memory: Path) -> None:
    CellGroup(files, memory, memory.with_name("pids")).remove()

    assert (memory / "memory.swap.max").read_text() == "0"
    assert (memory / "memory.swappiness").read_text() == "0"


def test_groups_of_the_dead_are_swept_and_no_others(tmp_path: Path) -> None:
    hierarchy = Hierarchy(files=V1, memory=tmp_path / "memory", pids=tmp_path / "pids", cpu=tmp_path / "cpu")
    for folder in hierarchy.folders:
        for name in ("evalpool-1-0-0", "evalpool-4194999-0-0", "evalpool-4194999-1-7", "other"):
            (folder / name).mkdir(parents=True)
    hierarchy.sweep()

    for folder in hierarchy.folders:
        assert {path.name for path in folder.iterdir()} == {"evalpool-1-0-0", "other"}
