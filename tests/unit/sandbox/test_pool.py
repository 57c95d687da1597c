"""Who gets which cell, with cells that get warm when told to."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sandbox import SandboxConfig, SandboxUnavailable
from sandbox.host import pool as pools
from sandbox.host.pool import Pool


class HandPool(Pool):
    """Cells are started as asked for, and get warm by hand."""

    def __init__(self, tmp_path: Any, *, wanted: int, ahead: int = 0) -> None:
        nothing = cast("Any", None)
        super().__init__("tier", slots=nothing, config=SandboxConfig(run_dir=tmp_path), boot=nothing, ahead=ahead)
        self._wanted = wanted
        self.lost = asyncio.Event()
        self._refill()

    def _start(self, *, trace: bool = False, rehearse: bool = True, own: bool = False) -> Any:  # noqa: ARG002
        warm = asyncio.get_running_loop().create_future()
        ahead = rehearse and self._is_behind
        jail = SimpleNamespace(lost=self.lost, residents=0, lose=self.lost.set)
        cell = _Hashable(jail=jail, warm=warm, ahead=ahead, rehearsed=rehearse)
        cell.is_gone = cell.is_unborn = False
        cell.discarded, cell.discard = False, lambda: setattr(cell, "discarded", True)
        if own:
            warm.set_result(None)
        else:
            self._starting.add(cast("Any", cell))
        return cell

    async def stillborn(self, count: int) -> None:
        for one in list(self._starting)[:count]:
            one.warm.cancel()
            self._on_warm(one, 0.0)
        await asyncio.sleep(0)

    async def warmed(self, count: int) -> None:
        for one in list(self._starting)[:count]:
            one.warm.set_result(None)
            self._on_warm(one, 0.0)
        await asyncio.sleep(0)


class _Hashable(SimpleNamespace):
    __hash__ = object.__hash__  # type: ignore[assignment]


async def asked(pool: Pool, *, patient: bool) -> asyncio.Task[Any]:
    task = asyncio.create_task(pool.acquire(patient=patient))
    await asyncio.sleep(0)
    return task


async def test_the_last_warm_cell_is_not_for_the_patient(tmp_path):
    pool = HandPool(tmp_path, wanted=3)
    await pool.warmed(3)
    patient = [await asked(pool, patient=True) for _ in range(3)]
    assert [task.done() for task in patient] == [True, True, False]
    other = await asked(pool, patient=False)

    assert (await other)[1], "a warm cell"
    await pool.warmed(1)
    assert not patient[2].done(), "the next one is kept again"
    await pool.warmed(1)
    assert patient[2].done()
    assert pool.warm == 1


async def test_who_is_not_patient_goes_first(tmp_path):
    pool = HandPool(tmp_path, wanted=2)
    first, second = await asked(pool, patient=True), await asked(pool, patient=False)
    await pool.warmed(1)

    assert (first.done(), second.done()) == (False, True)
    first.cancel()


async def test_patience_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(pools, "_PATIENCE_S", 0.01)
    pool = HandPool(tmp_path, wanted=2)
    first = await asked(pool, patient=True)
    await asyncio.sleep(0.05)
    await pool.warmed(1)

    assert first.done()


async def test_nothing_is_rehearsed_in_a_rush(tmp_path, monkeypatch):
    pool = HandPool(tmp_path, wanted=2)
    assert all(cell.rehearsed for cell in pool._starting)
    await pool.warmed(2)
    waiting = [await asked(pool, patient=False) for _ in range(3)]
    await pool.warmed(2)
    await asyncio.gather(*waiting)

    pool._refill()
    assert not any(cell.rehearsed for cell in pool._starting), "somebody just had to wait"
    pool._starting.clear()
    monkeypatch.setattr(pools, "_RUSH_S", 0.0)
    pool._refill()
    assert all(cell.rehearsed for cell in pool._starting)


async def test_where_one_cell_is_kept_it_is_for_all(tmp_path):
    pool = HandPool(tmp_path, wanted=1)
    await pool.warmed(1)

    assert (await pool.acquire(patient=True))[1]


@pytest.mark.parametrize("patient", [False, True])
async def test_a_cell_that_comes_as_its_run_is_cancelled_is_let_go_of(patient, tmp_path):
    """It once kept its slot for ever: nobody had it."""
    pool = HandPool(tmp_path, wanted=1)
    first = await asked(pool, patient=patient)
    cells = list(pool._starting)
    for one in cells:
        one.warm.set_result(None)
        pool._on_warm(one, 0.0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first

    assert [one.discarded for one in cells].count(True) + pool.warm == len(cells)


async def test_a_slot_without_a_cgroup_is_free_again(tmp_path):
    """It once ended the pool's own loop: no zygote was replaced from then on."""

    def group(*_: object) -> None:
        raise SandboxUnavailable("no cgroup")

    given: list[int] = []
    slots: Any = SimpleNamespace(take=lambda: 7, give=given.append, group=group)
    pool = Pool("tier", slots=slots, config=SandboxConfig(run_dir=tmp_path), boot=cast("Any", None))
    pool._jail = cast("Any", SimpleNamespace())
    pool._refill()

    assert given == [7]


class _Jail:
    """Takes an order for a cell if it lives; dies of it otherwise, as one does whose zygote was killed meanwhile."""

    def __init__(self, *, lives: bool) -> None:
        self.lives, self.lost, self.forked, self.residents = lives, asyncio.Event(), 0, 0
        self.on_lost: Any = None

    def fork(self, *_: object, **__: object) -> None:
        self.forked += 1
        if not self.lives:
            raise BrokenPipeError

    def lose(self) -> None:
        if not self.lost.is_set():
            self.lost.set()
            self.on_lost()

    async def close(self) -> None:
        self.lose()


async def test_a_zygote_that_dies_as_it_is_taken_over_is_replaced(tmp_path, monkeypatch):
    """Its pool once had no zygote from then on, and its worker failed every program."""
    monkeypatch.setattr(pools, "_BACKOFF_S", (0.0,))
    booted = [_Jail(lives=False), _Jail(lives=False), _Jail(lives=True)]
    coming = iter(booted)

    async def boot() -> Any:
        return next(coming)

    slots: Any = SimpleNamespace(take=lambda: 0, give=lambda _: None, group=lambda *_: None)
    pool = Pool("tier", slots=slots, config=SandboxConfig(run_dir=tmp_path), boot=boot)
    pool._renew()
    await asyncio.sleep(0.05)

    assert [jail.forked for jail in booted] == [1, 1, 1]
    assert pool._jail is cast("Any", booted[-1])
    [cell] = pool._starting
    await pool.close()
    cell.discard()


async def test_a_zygote_whose_cells_do_not_get_warm_is_as_good_as_none(tmp_path, monkeypatch):
    monkeypatch.setattr(pools, "_DOWN_S", 0.0)
    pool = HandPool(tmp_path, wanted=3)
    await pool.stillborn(2)
    assert pool.is_down

    await pool.warmed(1)
    assert not pool.is_down
    pool._refill()
    await pool.stillborn(1)
    assert not pool.is_down, "there is a warm cell: programs can run"


@pytest.mark.parametrize("residents", [0, 1])
async def test_a_zygote_that_cannot_fork_is_given_up_unless_others_run_in_it(residents, tmp_path):
    """They have the processes that it lacks. With the first zygote that could not fork they all died."""
    pool = HandPool(tmp_path, wanted=pools._STILLBORN)
    for cell in cast("Any", pool._starting):
        cell.is_unborn, cell.jail.residents = True, residents
    await pool.stillborn(pools._STILLBORN)

    assert pool.lost.is_set() == (residents == 0)
    assert pool.stats.cells_stillborn == pools._STILLBORN


async def test_after_a_cell_that_could_not_be_forked_the_next_is_not_tried_at_once(tmp_path):
    pool = HandPool(tmp_path, wanted=2)
    pool._slots = cast("Any", SimpleNamespace(give=lambda _: None))
    first, second = cast("Any", list(pool._starting))
    first.slot, first.is_unborn, second.slot = 0, True, 1
    await pool.stillborn(2)
    pool._on_gone(first)
    assert not pool._starting

    pool._on_gone(second)
    assert len(pool._starting) == 2


async def test_zygotes_whose_cells_do_not_get_warm_are_not_booted_in_a_storm(tmp_path, monkeypatch):
    monkeypatch.setattr(pools, "_BACKOFF_S", (0.0, 600.0))

    async def boot() -> Any:
        return _Jail(lives=True)

    slots: Any = SimpleNamespace(take=lambda: None, give=lambda _: None, group=lambda *_: None)
    pool = Pool("tier", slots=slots, config=SandboxConfig(run_dir=tmp_path), boot=boot)
    pool._renew()
    await turns()
    assert pool._jail is not None, "the first is booted at once"
    pool._on_lost(pool._jail)
    await turns()
    assert pool._jail is None, "the next one waits"
    await pool.close()


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_cell_that_gets_warm_as_it_is_given_up_is_somebodys(tmp_path):
    """After a pause of the whole process it once was let go of and handed out, and its run never ended."""
    pool = HandPool(tmp_path, wanted=1)
    [cell] = pool._starting
    cell.warm.set_result(None)
    pool._give_up(cell)
    pool._on_warm(cell, 0.0)

    assert (await pool.acquire())[0] is cell
    assert not cast("Any", cell).discarded


async def test_a_cell_that_is_gone_as_it_gets_warm_is_nobodys(tmp_path):
    pool = HandPool(tmp_path, wanted=1)
    [cell] = pool._starting
    cast("Any", cell).is_gone = True
    await pool.warmed(1)

    assert pool.warm == 0
    assert pool.stats.cells_stillborn == 1


async def test_who_gave_up_is_given_nothing(tmp_path):
    pool = HandPool(tmp_path, wanted=2)
    first = await asked(pool, patient=True)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await pool.warmed(2)

    assert pool.warm == 2


async def test_a_command_is_started_in_so_many_cells_and_in_none_that_somebody_waits_for(tmp_path):
    pool = HandPool(tmp_path, wanted=3, ahead=2)
    assert sorted(cell.ahead for cell in pool._starting) == [False, True, True]
    await pool.warmed(3)
    waiting = [await asked(pool, patient=False) for _ in range(4)]

    assert [cell.ahead for cell in pool._starting] == [False] * 4, "one for who waits, three to have again"
    waiting[3].cancel()


async def test_a_run_that_needs_a_plain_cell_gets_one(tmp_path):
    pool = HandPool(tmp_path, wanted=3, ahead=2)
    await pool.warmed(3)
    taken = [await pool.acquire(plain=True) for _ in range(2)]

    assert [(cell.ahead, warm) for cell, warm in taken] == [(False, True), (False, False)]
    assert pool.warm == 2
    assert (await pool.acquire())[0].ahead
