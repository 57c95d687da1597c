"""Which environments can be asked for: known for a moment, so that most evals need not ask Redis."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from api.errors import UnknownEnvironment

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from jobs.broker import Submitter

_BELIEVED_S = 2.0


class Served:
    """What workers have announced, at most 2 s old; what it does not know it looks up at once."""

    def __init__(self, submitter: Submitter, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._submitter, self._clock = submitter, clock
        self._names: Collection[str] = ()
        self._until = 0.0

    async def require(self, environment: str) -> None:
        """Raise UnknownEnvironment if no worker serves it, BrokerUnavailable."""
        now = self._clock()
        if environment in self._names and now < self._until:
            return
        if environment in self._names:
            self._until = now + _BELIEVED_S  # one looks; who comes meanwhile does not
        self._names = await self._submitter.environments()
        self._until = self._clock() + _BELIEVED_S
        if environment not in self._names:
            raise UnknownEnvironment(environment, sorted(self._names))
