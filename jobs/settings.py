"""Settings of the broker. Every process that shares a Redis must have the same ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jobs.model import Lane

if TYPE_CHECKING:
    from collections.abc import Mapping


def _lane_bounds() -> Mapping[Lane, int]:
    return {Lane.SINGLE: 10_000, Lane.BATCH: 100_000}


@dataclass(frozen=True, kw_only=True)
class BrokerSettings:
    """How long things live and how much fits."""

    lease_s: float = 5.0
    """A lease that is not renewed for this long is taken over. Renew about three times in it."""
    max_attempts: int = 3
    """A delivery of a later attempt is dead-lettered by the worker that gets it."""
    lane_bounds: Mapping[Lane, int] = field(default_factory=_lane_bounds)
    """Most jobs that a lane holds, waiting and running."""
    result_ttl_s: int = 3600
    open_batches: int = 20
    """Batches that one owner may have open."""
    open_items: int = 1_000_000
    """Items in all open batches of one owner."""
    prefix: str = "evalpool"
    """Of every key; two pools with different prefixes share a Redis without meeting."""
