"""What several environments of one worker share: warm cells, and slots."""

from __future__ import annotations

from sandbox.host.slots import Slots
from sandbox.host.warmth import Warmth


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_who_is_asked_for_gets_the_warm_cells_and_the_others_keep_one() -> None:
    clock, shares = Clock(), dict[str, int]()
    warmth = Warmth(8, clock=clock)
    for name in ("default", "node", "slim"):
        warmth.join(name, lambda cells, name=name: shares.update({name: cells}))
    assert shares == {"default": 8, "node": 1, "slim": 1}

    warmth.asked("node")
    assert shares == {"default": 1, "node": 8, "slim": 1}
    clock.now += 10
    warmth.asked("default")
    assert shares == {"default": 4, "node": 4, "slim": 1}
    clock.now += 25
    warmth.review()
    assert shares == {"default": 8, "node": 1, "slim": 1}
    warmth.leave("default")
    assert (shares["node"], shares["slim"]) == (8, 1)


def test_who_is_asked_for_has_two_and_each_has_one_however_few_cells_there_are() -> None:
    shares = dict[int, int]()
    warmth = Warmth(2)
    for number in range(5):
        warmth.join(number, lambda cells, number=number: shares.update({number: cells}))

    assert sorted(shares.values()) == [1, 1, 1, 1, 2]


def test_slots_are_taken_lowest_first_and_no_more_than_there_is_room_for() -> None:
    slots = Slots(2, None, name="x")
    slots.grow(1)
    taken = [slots.take() for _ in range(4)]
    slots.give(1)
    slots.give(0)
    slots.grow(-1)

    assert taken == [0, 1, 2, None]
    assert [slots.take(), slots.take()] == [0, None]
