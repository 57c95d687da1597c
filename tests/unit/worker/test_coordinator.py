"""One turn of a batch, with everything around it played by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from jobs.batches.model import BatchState
from jobs.batches.work import Progress, Submitted
from jobs.errors import ArchiveError, BrokerUnavailable
from jobs.model import Job
from worker.batches import coordinator
from worker.batches.coordinator import Turn, _patience

if TYPE_CHECKING:
    from collections.abc import Sequence

SLOTS = 8


class FakeWork:
    """A batch whose items are done as soon as somebody waits for them."""

    id = "b"

    def __init__(self, total: int, *, done: Sequence[int] = ()) -> None:
        self.total = total
        self.on_lane: list[int] = []
        self.done = list(done)
        self.most_on_lane = 0
        self.ours = True
        self.faults: list[Exception] = []
        self.failures = 0
        self.given_up = ""
        self.short = False

    async def is_short(self) -> bool:
        return self.short

    async def progress(self) -> Progress:
        if self.faults:
            raise self.faults.pop()
        state = BatchState.DONE if len(self.done) == self.total else BatchState.RUNNING
        return Progress(state=state, ours=self.ours, completed=len(self.done))

    async def submitted(self) -> bytes:
        bits = bytearray(self.total // 8 + 1)
        for index in (*self.on_lane, *self.done):
            bits[index // 8] |= 128 >> index % 8
        return bytes(bits)

    async def job(self, index: int) -> Job:
        return Job(id=f"b-{index}", code="", submitted_at=0, deadline_at=0, batch="b", index=index)

    async def submit(self, jobs: Sequence[Job]) -> tuple[Submitted, int]:
        self.on_lane += [job.index for job in jobs]
        self.most_on_lane = max(self.most_on_lane, len(self.on_lane))
        return Submitted.OK, len(jobs)

    async def wait(self, completions: int, *, block_s: float) -> bool:  # noqa: ARG002
        count = completions - len(self.done)
        self.done += self.on_lane[:count]
        del self.on_lane[:count]
        return False

    async def pack(self, completed: int, *, keep: int) -> None:
        pass

    async def count_failure(self) -> int:
        self.failures += 1
        return self.failures

    async def give_up(self, message: str) -> None:
        self.given_up = message


class FakeCarrier:
    def __init__(self, *, others: bool = False, leaving: bool = False) -> None:
        self.others_wait = lambda: others
        self.is_leaving = lambda _: leaving


async def workers() -> list[Any]:
    return [SimpleNamespace(slots=SLOTS)]


def turn(work: FakeWork, carrier: FakeCarrier | None = None) -> Turn:
    submitter = cast("Any", SimpleNamespace(workers=workers))
    return Turn(cast("Any", work), submitter, cast("Any", carrier or FakeCarrier()), worker="w")


async def test_every_item_is_submitted_once_and_the_window_is_kept():
    work = FakeWork(500)

    assert await turn(work).run() is BatchState.DONE
    assert sorted(work.done) == list(range(500))
    assert work.most_on_lane < 500 / 2


async def test_where_redis_has_little_room_items_go_one_by_one():
    """None at all would be for ever, if it is the batch itself that takes the room."""
    work = FakeWork(20)
    work.short = True

    assert await turn(work).run() is BatchState.DONE
    assert work.most_on_lane == 1


async def test_what_a_dead_coordinator_has_submitted_is_not_submitted_again():
    work = FakeWork(40, done=[0, 1, 5, 39])
    work.on_lane = [2, 7]

    assert await turn(work).run() is BatchState.DONE
    assert sorted(work.done) == list(range(40))


async def test_a_twin_that_took_over_ends_the_turn():
    work = FakeWork(40)
    work.ours = False

    assert await turn(work).run() is BatchState.RUNNING
    assert not work.on_lane


async def test_the_turn_is_given_back_when_others_wait_or_the_process_is_to_stop(monkeypatch):
    monkeypatch.setattr(coordinator, "SLICE_S", 0.0)

    assert await turn(FakeWork(5000), FakeCarrier(others=True)).run() is None
    assert await turn(FakeWork(5000), FakeCarrier(leaving=True)).run() is None


async def test_redis_that_goes_away_for_a_while_is_waited_for():
    work = FakeWork(10)
    work.faults = [BrokerUnavailable(), BrokerUnavailable()]

    assert await turn(work).run() is BatchState.DONE


async def test_a_turn_that_fails_again_and_again_ends_the_batch(monkeypatch):
    monkeypatch.setattr(coordinator, "_AFTER_FAILURE_S", 0.0)
    work = FakeWork(10)
    for number in range(coordinator._FAILURES):
        assert not work.given_up, number
        with pytest.raises(ArchiveError):
            async with _patience(cast("Any", work)):
                raise ArchiveError

    assert work.given_up == "given up after 10 failures in a row: ArchiveError"
