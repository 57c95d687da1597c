"""A worker's life: boot the sandbox, prove that a cell runs, serve, drain on SIGTERM, leave nothing."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
import socket
import time
from functools import partial
from typing import TYPE_CHECKING

from jobs import tail
from jobs.connect import split_urls
from jobs.model import WorkerInfo
from jobs.settings import BrokerSettings
from jobs.shard_worker import worker_broker_of
from jobs.shards import close_all, open_all
from sandbox import SandboxConfig
from worker import http, leases
from worker.consumer import Consumer
from worker.environments import Environments, read, watched
from worker.folder import own_folder
from worker.metrics import WorkerMetrics
from worker.noop import NoopEnvironments
from worker.runner import Runner
from worker.shared import SharedPrograms

if TYPE_CHECKING:
    from pathlib import Path

    from worker.settings import WorkerSettings

log = logging.getLogger(__name__)


class Signals:
    """What the signals of this process ask for; of its event loop."""

    def __init__(self) -> None:
        self.stop, self.read_again = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop.set)
        loop.add_signal_handler(signal.SIGHUP, self.read_again.set)


async def serve(settings: WorkerSettings) -> None:
    """Run a worker until SIGTERM or SIGINT; SIGHUP has it read its environments again.

    Raises SandboxUnavailable if it can never run a program, EnvironmentsError if it cannot tell where.
    """
    told = Signals()
    worker_id = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    metrics = WorkerMetrics(slots=settings.slots, starts=settings.starts)
    with own_folder(settings.state_dir.absolute() / "run", worker_id) as folder:
        async with _environments(settings, folder) as environments:
            metrics.watch(environments.pools)
            await _work(settings, worker_id, environments, metrics, told)


def _environments(settings: WorkerSettings, folder: Path) -> Environments | NoopEnvironments:
    if settings.sandbox == "noop":
        return NoopEnvironments()
    config = SandboxConfig(
        run_dir=folder / "jails",
        slots=settings.slots,
        warm=settings.warm or settings.starts,
        cgroups=settings.cgroups,
        zygote_cells=settings.zygote_cells,
        zygote_age_s=settings.zygote_age_s,
    )
    return Environments(partial(read, settings), config)


async def _work(
    settings: WorkerSettings,
    worker_id: str,
    environments: Environments | NoopEnvironments,
    metrics: WorkerMetrics,
    told: Signals,
) -> None:
    opened = open_all(split_urls(settings.redis_url.get_secret_value()))
    broker_settings = BrokerSettings(result_ttl_s=settings.result_ttl_s)
    broker = worker_broker_of(opened, broker_settings, worker=worker_id)
    broker.serve(environments.serving)
    runner = Runner(
        environments.serving,
        broker.emit,
        shared=SharedPrograms(broker.shared, bound_bytes=settings.shared_bytes),
        max_attempts=broker_settings.max_attempts,
    )
    consumer = Consumer(broker, runner, metrics, slots=settings.slots, starts=settings.starts)
    started_at = time.time()

    def notice() -> WorkerInfo:
        about = environments.about()
        return WorkerInfo(
            id=worker_id, slots=settings.slots, environments=tuple(about), started_at=started_at, about=about
        )

    lease_s = broker_settings.lease_s
    door = http.server(
        metrics.registry,
        lambda: "draining" if consumer.draining else environments.complaint,
        host=settings.metrics_host,
        port=settings.metrics_port,
    )
    async with asyncio.TaskGroup() as group:
        consuming = group.create_task(consumer.consume())
        beside = [
            group.create_task(work)
            for work in (
                leases.renew(broker, consumer, lease_s=lease_s),
                leases.reclaim(consumer, lease_s=lease_s),
                leases.hear_cancellations(broker, consumer),
                environments.follow(watched(settings), told.read_again, broker.serve),
                door.serve(),
            )
        ]
        announcing = group.create_task(leases.announce(broker, notice, metrics.redis_round_trip))
        log.info("worker ready", extra={"event": "worker_ready", "worker": worker_id, "slots": settings.slots})
        await told.stop.wait()
        log.info("worker drains", extra={"event": "worker_drains", "worker": worker_id})
        await tail.stop(announcing)
        await consumer.drain(consuming, settings.drain_s)
        for task in beside:
            await tail.stop(task)
    await close_all(opened)
