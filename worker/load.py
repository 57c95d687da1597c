"""How full a worker is, as a quantity that adds up: over time, and over workers. The autoscaler's signal.

A gauge that is looked at every few seconds misses jobs of milliseconds; the integral of it misses nothing.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class LoadMeter:
    """Seconds of full load. A worker is as full as its slots or its starts are, whichever are fuller.

    Long programs fill the slots. Short ones never do: they fill the starts, of which there are fewer.
    """

    def __init__(self, *, slots: int, starts: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._slots, self._starts, self._clock = slots, starts, clock
        self._load = 0.0
        self._since = clock()
        self._full_s = 0.0

    def set(self, *, running: int, young: int) -> None:
        """Say what runs from now on, and how many of it are young."""
        now = self._clock()
        self._full_s += self._load * (now - self._since)
        self._since = now
        # Takeover and blocking reads may bring one more than fits; full is full.
        self._load = min(1.0, max(running / self._slots, young / self._starts))

    def full_s(self) -> float:
        """Seconds of full load up to now."""
        return self._full_s + self._load * (self._clock() - self._since)
