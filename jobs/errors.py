"""Errors of the queue.

JobsError
+-- LaneFull          the lane is at its bound: our capacity, try again later
+-- BrokerUnavailable Redis did not answer in time
+-- WireError         bytes that are not a job or result of a version we know
"""

from __future__ import annotations


class JobsError(Exception):
    """Root of this room's errors."""


class LaneFull(JobsError):  # noqa: N818 (says what is the case, as the field's own names do)
    """The lane is at its bound."""

    def __init__(self, *, lane: str, depth: int, bound: int) -> None:
        super().__init__(f"lane {lane} holds {depth} of {bound} jobs")
        self.lane, self.depth, self.bound = lane, depth, bound


class BrokerUnavailable(JobsError):  # noqa: N818
    """Redis did not answer in time."""


class WireError(JobsError):
    """Bytes that are not a job or result of a version we know."""
