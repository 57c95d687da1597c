"""How many entries of a stream to ask for at once. COUNT bounds their number; this keeps their bytes in bounds too."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

PORTION_BYTES: Final = 4 << 20
"""Of a reply to who asks for several: more than this at once are on their way for so long that leases run out."""


class Portion:
    """A count that follows the size of what comes: downwards at once, upwards by doubling."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.count = 1

    def came(self, entries: int, size_bytes: int) -> None:
        """A reply has come, of so many entries."""
        if entries:
            fit = max(1, entries * PORTION_BYTES // max(1, size_bytes))
            self.count = min(self._most, 2 * self.count, fit)

    def lost(self) -> None:
        """A reply has not come in time."""
        self.count = max(1, self.count // 2)
