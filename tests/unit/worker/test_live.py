"""What a program prints reaches who waits: in order, whole, few sends, and never at the price of the result."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from jobs.errors import BrokerUnavailable
from jobs.model import Chunk, Delivery, Job, Lane, Output, OutputStream, Status
from sandbox import JailFailed, RunReport
from worker.live import Live
from worker.runner import Runner
from worker.shared import SharedPrograms

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox import RunSpec

OUT, ERR = OutputStream
MOMENT_S = 0.02


async def none_shared(_: str) -> None:
    raise AssertionError


class Emitted:
    """What was sent; Redis may be away for a while."""

    def __init__(self) -> None:
        self.outputs: list[Output] = []
        self.away = False
        self.slow_s = 0.0

    async def __call__(self, output: Output) -> None:
        await asyncio.sleep(self.slow_s)
        if self.away:
            raise BrokerUnavailable
        self.outputs.append(output)

    def text(self, stream: OutputStream = OUT) -> str:
        return "".join(chunk.text for output in self.outputs for chunk in output.chunks if chunk.stream is stream)


@pytest.fixture
def emitted() -> Emitted:
    return Emitted()


@pytest.fixture
def live(emitted: Emitted) -> Live:
    return Live(emitted, attempt=1, run=1)


async def test_what_is_printed_within_a_moment_goes_together_while_the_program_runs(
    live: Live, emitted: Emitted
) -> None:
    async with live:
        for number in range(1000):
            live.hear("stdout", f"{number}\n".encode())
        await asyncio.sleep(3 * MOMENT_S)
        first = [len(output.chunks) for output in emitted.outputs]
        live.hear("stdout", b"more")
        live.hear("stderr", b"oh")
        live.hear("stdout", b"!")

    assert first == [1]
    assert emitted.outputs[1].chunks == (
        Chunk(stream=OUT, offset=3890, text="more"),
        Chunk(stream=ERR, offset=0, text="oh"),
        Chunk(stream=OUT, offset=3894, text="!"),
    )


async def test_the_last_of_it_is_sent_before_the_end_without_waiting(
    live: Live, emitted: Emitted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.live._MOMENT_S", 60)
    before = asyncio.get_running_loop().time()
    async with live:
        live.hear("stdout", b"done\n")

    assert emitted.text() == "done\n"
    assert asyncio.get_running_loop().time() - before < 30
    assert live._timer is None


@pytest.mark.parametrize("whole", ["gr\u00fc\u00df \U0001f600 ok".encode(), b"\xff ok \xe2\x82", b"\xf0\x9f x"])
async def test_characters_cut_apart_come_whole_and_bad_bytes_as_in_the_result(
    live: Live, emitted: Emitted, whole: bytes
) -> None:
    async with live:
        for position in range(len(whole)):
            live.hear("stdout", whole[position : position + 1])
            live.hear("stderr", b".")

    assert emitted.text() == whole.decode(errors="replace")
    assert emitted.text(ERR) == "." * len(whole)


async def test_what_comes_during_a_slow_send_follows_it(live: Live, emitted: Emitted) -> None:
    emitted.slow_s = 0.05
    async with live:
        live.hear("stdout", b"1")
        await asyncio.sleep(0.03)
        live.hear("stdout", b"2")
        await asyncio.sleep(0.03)
        live.hear("stdout", b"3")

    assert [chunk.offset for output in emitted.outputs for chunk in output.chunks] in ([0, 1], [0, 1, 2])
    assert emitted.text() == "123"


async def test_behind_a_gap_nothing_more_is_sent_or_held(live: Live, emitted: Emitted) -> None:
    emitted.away = True
    async with live:
        live.hear("stdout", b"lost")
        await asyncio.sleep(2 * MOMENT_S)
        emitted.away = False
        live.hear("stdout", b"kept by the result")
        assert live._heard == []

    assert emitted.outputs == []


async def test_a_killed_run_sends_nothing_more(live: Live, emitted: Emitted) -> None:
    async def killed() -> None:
        async with live:
            live.hear("stdout", b"x")
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await killed()
    await asyncio.sleep(2 * MOMENT_S)

    assert emitted.outputs == []


class FragileSandbox:
    """Its first run breaks after some output."""

    def __init__(self) -> None:
        self.heard_by: list[Callable[[str, bytes], None] | None] = []

    async def run(self, _: RunSpec, on_output: Callable[[str, bytes], None] | None = None) -> RunReport:
        self.heard_by.append(on_output)
        if on_output is not None:
            on_output("stdout", b"hi\n")
            await asyncio.sleep(2 * MOMENT_S)
        if len(self.heard_by) == 1:
            raise JailFailed("broke")
        return RunReport(exit_code=0, signal=None, stdout=b"hi\n")


@pytest.mark.parametrize("stream", [True, False])
async def test_a_run_after_a_broken_one_says_so_and_only_streamed_jobs_are_heard(
    emitted: Emitted, *, stream: bool
) -> None:
    now = time.time()
    job = Job(id="j", code="x", submitted_at=now, deadline_at=now + 9, stream=stream)
    delivery = Delivery(job=job, lane=Lane.SINGLE, entry_id="1-0", attempt=2)
    sandbox = FragileSandbox()
    shared = SharedPrograms(none_shared, bound_bytes=0)
    runner = Runner({"default": sandbox}, lambda _, output: emitted(output), shared=shared, max_attempts=3)
    result = await runner.run(delivery)

    assert (result.status, result.stdout, len(sandbox.heard_by)) == (Status.OK, "hi\n", 2)
    assert [(output.attempt, output.run) for output in emitted.outputs] == ([(2, 1), (2, 2)] if stream else [])
    assert all((hear is not None) == stream for hear in sandbox.heard_by)
