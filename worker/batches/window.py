"""How many items of a batch are on a lane at once: enough that no slot waits, few enough that others get through."""

from __future__ import annotations

import math

BACKLOG_S = 0.25
"""What waits in the lane should last for so long: several times what it takes to put more there."""
LEAST = 8
"""Also without a worker: what waits shows that one is needed."""
MOST = 2_000


class Window:
    """Follows the rate at which items complete. Pure; the clock is the caller's."""

    def __init__(self) -> None:
        self._rate = 0.0
        self._seen: tuple[float, int] | None = None

    @property
    def rate(self) -> float:
        """Completions per second, lately."""
        return self._rate

    def saw(self, completed: int, now_s: float) -> None:
        """Learn from the count of completed items at this time."""
        if self._seen is None:
            self._seen = (now_s, completed)
            return
        then_s, before = self._seen
        if now_s - then_s >= BACKLOG_S / 2:
            latest = (completed - before) / (now_s - then_s)
            self._rate += (latest - self._rate) / 2
            self._seen = (now_s, completed)

    def size(self, slots: int, sharers: int) -> int:
        """Items on the lane, running ones too, for one of so many batches that share the slots."""
        running = math.ceil(slots / max(1, sharers))
        backlog = max(math.ceil(slots / 2), math.ceil(self._rate * BACKLOG_S))
        return max(LEAST, min(MOST, running + backlog))
