"""The autoscaler's signal: how full a worker is, added up over time."""

from __future__ import annotations

from worker.load import LoadMeter


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def meter(clock: Clock) -> LoadMeter:
    return LoadMeter(slots=16, starts=4, clock=clock)


def test_an_idle_worker_gathers_no_load() -> None:
    clock = Clock()
    idle = meter(clock)
    clock.now += 60

    assert idle.full_s() == 0


def test_long_programs_fill_the_slots_and_short_ones_the_starts() -> None:
    clock = Clock()
    long, short = meter(clock), meter(clock)
    long.set(running=8, young=0)
    short.set(running=3, young=3)
    clock.now += 10

    assert long.full_s() == 5
    assert short.full_s() == 7.5


def test_what_was_short_between_two_looks_counts() -> None:
    """A gauge would have shown an idle worker at both."""
    clock = Clock()
    seen = meter(clock)
    for _ in range(100):
        seen.set(running=4, young=4)
        clock.now += 0.003
        seen.set(running=0, young=0)
        clock.now += 0.007

    assert round(seen.full_s(), 6) == 0.3


def test_full_is_full() -> None:
    clock = Clock()
    over = meter(clock)
    over.set(running=17, young=5)
    clock.now += 2

    assert over.full_s() == 2
