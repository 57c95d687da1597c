"""Errors of the queue.

JobsError
+-- LaneFull          the lane is at its bound: our capacity, try again later
+-- BrokerUnavailable Redis did not answer in time
|   +-- BrokerFull    it has no memory left for what is new
+-- WireError         bytes that are not a job or result of a version we know
+-- ArchiveError      the store that batches are spilled to failed
+-- TooManyBatches    an owner has all the open batches, or items in them, that one may have
+-- UploadLost        an upload was given up, or taken over by another with the same id
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


class BrokerFull(BrokerUnavailable):
    """Redis is at its `maxmemory`, or close to it: nothing was added. Jobs that end make room."""


class WireError(JobsError):
    """Bytes that are not a job or result of a version we know."""


class ArchiveError(JobsError):
    """The store that batches are spilled to failed; the message names no credentials."""


class TooManyBatches(JobsError):  # noqa: N818
    """An owner has all the open batches, or items in them, that one may have."""

    def __init__(self, *, what: str, open_now: int, bound: int) -> None:
        super().__init__(f"{open_now} of {bound} {what} are open")
        self.what, self.open_now, self.bound = what, open_now, bound


class UploadLost(JobsError):  # noqa: N818
    """The upload was given up (Redis did not hear of it for too long), or another with the same id took over."""
