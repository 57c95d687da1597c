"""Who gets which cell, with cells that get warm when told to."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sandbox import SandboxConfig
from sandbox.host import pool as pools
from sandbox.host.pool import Pool


class HandPool(Pool):
    """Cells are started as asked for, and get warm by hand."""

    def __init__(self, tmp_path: Any, *, wanted: int) -> None:
        nothing = cast("Any", None)
        super().__init__("tier", slots=nothing, config=SandboxConfig(run_dir=tmp_path), boot=nothing)
        self._wanted = wanted
        self.lost = asyncio.Event()
        self._refill()

    def _start(self, *, trace: bool, rehearse: bool = True) -> Any:  # noqa: ARG002
        warm = asyncio.get_running_loop().create_future()
        cell: Any = SimpleNamespace(jail=SimpleNamespace(lost=self.lost), warm=warm)
        self._starting.add(cast("Any", _Hashable(cell)))
        return cell

    async def warmed(self, count: int) -> None:
        for one in list(self._starting)[:count]:
            one.warm.set_result(None)
            self._on_warm(one, 0.0)
        await asyncio.sleep(0)


class _Hashable:
    def __init__(self, cell: Any) -> None:
        self.jail, self.warm = cell.jail, cell.warm


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


async def test_where_one_cell_is_kept_it_is_for_all(tmp_path):
    pool = HandPool(tmp_path, wanted=1)
    await pool.warmed(1)

    assert (await pool.acquire(patient=True))[1]


async def test_who_gave_up_is_given_nothing(tmp_path):
    pool = HandPool(tmp_path, wanted=2)
    first = await asked(pool, patient=True)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await pool.warmed(2)

    assert pool.warm == 2
