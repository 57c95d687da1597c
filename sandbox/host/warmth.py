"""Shares a worker's warm cells out among its environments: who is asked for gets more, who is not keeps one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_QUIET_S = 30.0


class Warmth:
    """`cells` in the first tiers of the environments that are asked for together; one in each of the others.

    The environment that joined first has what nobody is asked for.
    """

    def __init__(self, cells: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._cells, self._clock = cells, clock
        self._members: dict[object, Callable[[int], None]] = {}
        self._asked_at: dict[object, float] = {}
        self._busy: list[object] = []

    def join(self, member: object, heat: Callable[[int], None]) -> None:
        """Take part: `heat(cells)` is called now, and whenever the share changes."""
        self._members[member] = heat
        self._share()

    def leave(self, member: object) -> None:
        """Take part no more."""
        del self._members[member]
        self._asked_at.pop(member, None)
        self._share()

    def asked(self, member: object) -> None:
        """Note that somebody asked for a cell of it."""
        self._asked_at[member] = self._clock()
        if member not in self._busy or len(self._busy) > 1:
            self.review()

    def review(self) -> None:
        """Look who has become quiet."""
        if self._wanted() != self._busy:
            self._share()

    def _wanted(self) -> list[object]:
        since = self._clock() - _QUIET_S
        busy = [member for member in self._members if self._asked_at.get(member, since) > since]
        return busy or list(self._members)[:1]

    def _share(self) -> None:
        self._busy = self._wanted()
        # Two at least: with one, who asks again at once would wait for it to get warm.
        share = max(min(2, self._cells), self._cells // max(1, len(self._busy)))
        for member, heat in list(self._members.items()):
            heat(share if member in self._busy else 1)
