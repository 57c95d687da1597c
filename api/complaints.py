"""Why the queue does not answer, for the operator: the caller hears only that it does not."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import structlog

from jobs.errors import BrokerUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

_EVERY_S = 1.0

log = structlog.get_logger("api")


class Complaints:
    """Says it in the log once a second, however many requests fail by it."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._said_at = clock, -math.inf

    def hear(self, error: Exception) -> None:
        """Note what a request failed by; only a queue that does not answer is of interest."""
        if isinstance(error, BrokerUnavailable) and self._clock() - self._said_at >= _EVERY_S:
            self._said_at = self._clock()
            log.warning("queue_unavailable", why=str(error))
