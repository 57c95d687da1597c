"""Batches as callers see them."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from api.batches.schemas import BatchLinks, BatchView, WebhookView
from jobs.batches.model import OPEN, Batch, Webhook


def links_of(batch_id: str) -> BatchLinks:
    """Where to go on."""
    url = f"/v1/batches/{batch_id}"
    return BatchLinks(self=url, results=f"{url}/results", events=f"{url}/events")


def view_of(batch: Batch, *, now: float | None = None) -> BatchView:
    """Show a batch. `now`: Unix time, seconds."""
    until = batch.finished_at or (time.time() if now is None else now)
    took_s = max(0.001, until - batch.started_at) if batch.started_at else None
    rate = batch.completed / took_s if took_s and batch.completed else None
    left, is_open = batch.total - batch.completed, batch.state in OPEN
    webhook = batch.webhook
    return BatchView(
        id=batch.id,
        state=batch.state,
        total=batch.total,
        completed=batch.completed,
        submitted=batch.submitted,
        waiting=batch.waiting,
        counts={status.value: count for status, count in batch.counts.items()},
        rate_per_s=round(rate, 1) if rate else None,
        eta_s=round(left / rate, 1) if rate and is_open else None,
        created_at=_time(batch.created_at) or "",
        started_at=_time(batch.started_at),
        finished_at=_time(batch.finished_at),
        expires_at=_time(batch.expires_at),
        metadata=dict(batch.metadata),
        webhook=None if webhook is None else _webhook(webhook),
        message=batch.message or None,
        links=links_of(batch.id),
    )


def _webhook(webhook: Webhook) -> WebhookView:
    return WebhookView(url=webhook.url, state=webhook.state, attempts=webhook.attempts, message=webhook.message or None)


def shown(view: BatchView) -> bytes:
    """JSON without what says nothing."""
    return view.model_dump_json(exclude_none=True).encode()


def _time(unix_s: float | None) -> str | None:
    """RFC 3339, UTC, milliseconds."""
    if unix_s is None:
        return None
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
