"""The items of a batch that are still to be submitted, in order, as the bitmap in Redis has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.batches.work import Submitted

if TYPE_CHECKING:
    from jobs.batches.work import Work
    from jobs.model import Job

_AT_ONCE = 100
_ALL = 0xFF


class Source:
    """Hands items out once each, whatever a coordinator before us has done."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._bits: bytes | None = None
        self._submitted = 0
        self._next = 0

    def stale(self) -> None:
        """What we know may be wrong: ask again before use."""
        self._bits = None

    async def in_flight(self, completed: int) -> int:
        """Items that are on a lane."""
        await self._known()
        return max(0, self._submitted - completed)

    async def submit(self, count: int) -> Submitted:
        """Put up to so many more on their lane. Raises ArchiveError, WireError."""
        await self._known()
        while count > 0 and (jobs := await self._take(min(count, _AT_ONCE))):
            word, dealt = await self._work.submit(jobs)
            self._submitted += dealt
            self._next = jobs[dealt].index if dealt < len(jobs) else jobs[-1].index + 1
            count -= dealt
            if word is not Submitted.OK:
                return word
        return Submitted.OK

    async def _known(self) -> bytes:
        if self._bits is None:
            self._bits = await self._work.submitted()
            self._submitted = int.from_bytes(self._bits).bit_count()
            self._next = 0
        return self._bits

    async def _take(self, count: int) -> list[Job]:
        bits, index = await self._known(), self._next
        jobs: list[Job] = []
        if not bits:  # the batch has ended this moment
            return jobs
        while len(jobs) < count and index < self._work.total:
            if index % 8 == 0 and bits[index // 8] == _ALL:
                index += 8
                continue
            if not bits[index // 8] >> (7 - index % 8) & 1:
                jobs.append(await self._work.job(index))
            index += 1
        return jobs
