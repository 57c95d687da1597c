"""Blocking work in a thread: the loop goes on, and nobody removes what a thread still writes."""

import asyncio
import threading

import pytest

from sandbox.host.aside import aside, remove


async def test_the_loop_goes_on_meanwhile():
    go = threading.Event()
    working = asyncio.create_task(aside(go.wait, 10))
    await asyncio.sleep(0)
    go.set()  # by the loop, which therefore does not wait

    assert await working


async def test_who_is_cancelled_goes_on_when_the_work_has_ended(tmp_path):
    begun, go = threading.Event(), threading.Event()

    def write() -> None:
        begun.set()
        go.wait(10)
        (tmp_path / "late").touch()

    working = asyncio.create_task(aside(write))
    await asyncio.to_thread(begun.wait, 10)
    for _ in range(2):
        working.cancel()
        await asyncio.sleep(0)
    assert not working.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert (tmp_path / "late").exists()


async def test_a_folder_is_removed_and_one_that_is_not_there_does_not_matter(tmp_path):
    (tmp_path / "folder/inner").mkdir(parents=True)
    await remove(tmp_path / "folder")
    await remove(tmp_path / "folder")

    assert list(tmp_path.iterdir()) == []
