"""Whether a Redis has room for what is new, while it still has some for what is on its way.

A server at its `maxmemory` refuses whatever makes it hold more. What ends jobs is let through there (`allow-oom` in the
scripts), but not RQ, nor who waits for a result: so that these go on, new jobs and uploads are refused a bit earlier.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from redis.exceptions import ResponseError

from jobs.connect import redis_errors
from jobs.errors import BrokerFull

if TYPE_CHECKING:
    from typing import Any, Final

    from jobs.connect import Client

SHARE: Final = 0.9
"""Of `maxmemory` for what is new."""
_LOOK_S = 0.25
"""Between two looks: many jobs come meanwhile, and a look costs as much as one."""


class Room:
    """What one process knows of one Redis."""

    def __init__(self, client: Client) -> None:
        self._redis = client
        self._looked_at = -_LOOK_S
        self._is_short = False

    async def require(self) -> None:
        """Raise BrokerFull if nothing new may be added now."""
        if await self.is_short():
            raise BrokerFull(f"more than {SHARE:.0%} of maxmemory are used")

    async def is_short(self) -> bool:
        """Whether the server had little room a moment ago. Raises BrokerUnavailable."""
        if time.monotonic() - self._looked_at >= _LOOK_S:
            self._looked_at = time.monotonic()  # at once: others that come meanwhile go by the last look
            with redis_errors(), suppress(ResponseError):  # a server where we may not ask
                told: Any = await self._redis.info("memory")
                self._is_short = 0 < told.get("maxmemory", 0) * SHARE < told["used_memory"]
        return self._is_short
