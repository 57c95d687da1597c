"""A job frame that is none ends the cell that reads it, and nothing else: neither its zygote nor its neighbours."""

from __future__ import annotations

import asyncio
import marshal
import struct
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from walls import bare_sandbox

from sandbox import RunSpec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sandbox import Sandbox
    from sandbox.host.cell import Cell

pytestmark = pytest.mark.jail


def frame(head: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">II", len(head), len(body)) + head + body


def job(**header: object) -> bytes:
    whole = {
        "args": [], "env": {}, "files": [], "interpreter_mode": False, "strace": False, "merge_streams": False,
        "live": False, "outputs": False, "rlimits": {}, "data_bytes": None, "blobs": [1],
    }  # fmt: skip
    return frame(marshal.dumps(whole | header, 2), b"1")


FRAMES = {
    "zeros": bytes(100),
    "no marshal": frame(b"\xff{"),
    "cut short": frame(marshal.dumps({"args": []}, 2)[:-1]),
    "a list": frame(marshal.dumps([], 2)),
    "nothing in it": frame(marshal.dumps({}, 2)),
    "nested without end": frame(b"[\1\0\0\0" * 10_000),
    "lengths that are texts": job(blobs=["a"]),
    "no program": job(blobs=[]),
    "a file without content": job(files=["a"], blobs=[1]),
    "a file outside": job(files=["../../etc/passwd"], blobs=[1, 0]),
    "a limit that is none": job(rlimits={"NONE": 1}),
    "a limit that is not allowed": job(rlimits={"NOFILE": 2**70}),
    "a variable that is none": job(env={"a=b\0": 1}),
}
UNFINISHED = {
    "half a head": b"\0\0",
    "a head that does not come": struct.pack(">II", 1 << 31, 0) + b"{",
    "a body that does not come": struct.pack(">II", 2, 1 << 31) + b"{0",
}


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def small(environment_root: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sandbox]:
    folder = tmp_path_factory.mktemp("frames")
    async with bare_sandbox(environment_root, folder, counts="rlimits", slots=2) as opened:
        yield opened


def ended(cell: Cell) -> asyncio.Event:
    gone, tell = asyncio.Event(), cell.on_gone

    def hear(one: Cell) -> None:
        tell(one)
        gone.set()

    cell.on_gone = hear
    return gone


@pytest.mark.parametrize("hang_up", [False, True], ids=["stays", "hangs up"])
@pytest.mark.parametrize("data", [*FRAMES.values(), *UNFINISHED.values()], ids=[*FRAMES, *UNFINISHED])
async def test_a_frame_that_is_none_ends_its_cell_alone(small: Sandbox, data: bytes, *, hang_up: bool) -> None:
    pool = small.pools["bare"]
    cell, _ = await pool.acquire()
    gone = ended(cell)
    cell._channel.send(data)
    if hang_up:
        cell._release()
    elif data in UNFINISHED.values():
        cell.discard()
    await asyncio.wait_for(gone.wait(), 10)
    cell.discard()
    report = await small.run(RunSpec(code="print('fine')"))

    assert (report.stdout, report.exit_code) == (b"fine\n", 0)
    assert not cell.jail.lost.is_set()
    assert pool.stats.zygotes_died == 0
