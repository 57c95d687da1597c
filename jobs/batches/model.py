"""Batches as frozen values. No I/O here."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 (the codec reads the annotations when it runs)
from dataclasses import dataclass, field
from enum import StrEnum

from jobs.model import JobResult, Status  # noqa: TC001


class BatchState(StrEnum):
    """Where a batch is in its life."""

    UPLOADING = "uploading"
    """Nobody sees it yet; vanishes if the upload is broken off."""
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    """Every item has a result."""
    FAILED = "failed"
    """Given up by us; `message` says why."""
    CANCELLED = "cancelled"


OPEN = frozenset({BatchState.QUEUED, BatchState.RUNNING})
"""States in which items may still be run."""


class WebhookState(StrEnum):
    """What became of a webhook."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Where to say that a batch ended, and what became of that."""

    url: str
    state: WebhookState = WebhookState.PENDING
    attempts: int = 0
    message: str = ""
    """Why the last attempt failed; for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A batch before its first item is read."""

    id: str
    owner: str
    """Digest of the caller's token, hexadecimal."""
    created_at: float
    """Unix time, seconds, as everywhere."""
    timeout_s: float
    """An item that has not run so long after the upload is not run any more."""
    result_ttl_s: int
    result_bytes: int
    """Results over this sum are recorded without most of their output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A batch at one moment."""

    id: str
    owner: str
    state: BatchState
    total: int
    completed: int
    submitted: int
    """Items on a lane, running ones too."""
    counts: Mapping[Status, int]
    created_at: float
    started_at: float | None
    finished_at: float | None
    expires_at: float | None
    """When its results vanish; None while it is open."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    webhook: Webhook | None = None
    message: str = ""
    """Why it failed; for people."""
    largest_bytes: int = 0
    """Of all results so far, the largest."""

    @property
    def waiting(self) -> int:
        """Items that are on no lane yet, and have no result."""
        return max(0, self.total - self.completed - self.submitted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """The result of one item."""

    cursor: int
    """It was the how-manieth to complete, from 1."""
    index: int
    custom_id: str
    result: JobResult
