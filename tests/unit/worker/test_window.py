from __future__ import annotations

from worker.batches.window import LEAST, MOST, Window


def seen(rate: float, seconds: int = 5) -> Window:
    """A window that saw so many completions per second."""
    window = Window()
    for moment in range(seconds * 4):
        window.saw(int(moment / 4 * rate), moment / 4)
    return window


def test_without_a_rate_it_is_the_slots_and_half_as_many_again():
    assert Window().size(16, 1) == 24


def test_quick_items_wait_for_a_quarter_of_a_second_at_most():
    """What waits must outlast the time that it takes to put more there."""
    assert abs(seen(400).size(16, 1) - (16 + 400 / 4)) < 10


def test_slow_items_do_not_pile_up_before_those_of_others():
    assert seen(1).size(16, 1) == 24


def test_who_shares_the_slots_has_a_part_of_them():
    assert Window().size(16, 2) == 16


def test_it_is_bounded_on_both_sides():
    assert Window().size(0, 1) == LEAST
    assert seen(1e6).size(16, 1) == MOST


def test_a_rate_that_falls_is_forgotten():
    window = seen(400)
    for moment in range(20, 60):
        window.saw(2000, moment / 4)
    assert window.rate < 1
