"""RQ's own stop command, and what it means: the batch is cancelled."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from jobs.batches.model import BatchState
from jobs.batches.store import BatchStore
from jobs.connect import connect, split_urls
from jobs.settings import BrokerSettings
from jobs.shards import home
from worker.batches.settings import CoordinatorSettings

if TYPE_CHECKING:
    from redis import Redis
    from rq.job import Job


def on_stopped(job: Job, _: Redis) -> None:
    """RQ calls this in the parent, after the work-horse is dead."""
    asyncio.run(_cancel(job.id))


async def _cancel(batch_id: str) -> None:
    urls = split_urls(CoordinatorSettings().redis_url.get_secret_value())
    connections = connect(urls[home(batch_id, len(urls))])
    try:
        await BatchStore(connections, BrokerSettings()).end(batch_id, BatchState.CANCELLED)
    finally:
        await connections.aclose()
