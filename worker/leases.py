"""The loops beside the consumer: renew what runs, take over what the dead left, hear cancellations, announce."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from jobs.errors import BrokerUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from jobs.broker import WorkerBroker
    from jobs.model import WorkerInfo
    from worker.consumer import Consumer

log = logging.getLogger(__name__)
_PAUSE_S = 0.5


async def renew(broker: WorkerBroker, consumer: Consumer, *, lease_s: float) -> None:
    """Renew the leases of everything that runs, three times within a lease."""

    async def step() -> None:
        if held := consumer.deliveries:
            consumer.lose(await broker.renew(held))

    await _every(lease_s / 3, step)


async def reclaim(consumer: Consumer, *, lease_s: float) -> None:
    """Take over jobs of dead workers, five times within a lease."""
    await _every(lease_s / 5, consumer.take_over)


async def announce(
    broker: WorkerBroker, notice: Callable[[], WorkerInfo], took: Callable[[float], None]
) -> None:
    """Say that this worker lives and is ready, and for what; `took` hears how long each round trip was, in seconds."""

    async def step() -> None:
        began = time.perf_counter()
        await broker.announce(notice())
        took(time.perf_counter() - began)

    await _every(1.0, step)


async def hear_cancellations(broker: WorkerBroker, consumer: Consumer) -> None:
    """Pass on every cancellation, for ever."""
    while True:
        try:
            async for job_id in broker.cancellations():
                consumer.cancel(job_id)
        except BrokerUnavailable:
            await asyncio.sleep(_PAUSE_S)


async def _every(period_s: float, step: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await step()
        except BrokerUnavailable as error:
            log.warning("broker unavailable", extra={"event": "broker_unavailable", "why": str(error)})
        await asyncio.sleep(period_s)
