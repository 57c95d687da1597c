"""A worker's life: boot the sandbox, prove that a cell runs, serve, drain on SIGTERM, leave nothing."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
import socket
import time
from typing import TYPE_CHECKING

from jobs import tail
from jobs.connect import split_urls
from jobs.model import WorkerInfo
from jobs.settings import BrokerSettings
from jobs.shard_worker import worker_broker_of
from jobs.shards import close_all, open_all
from sandbox import Sandbox, SandboxConfig, bare_environment, default_environment
from worker import http, leases
from worker.consumer import Consumer
from worker.folder import own_folder
from worker.metrics import WorkerMetrics
from worker.noop import NoopSandbox
from worker.runner import Runner
from worker.shared import SharedPrograms

if TYPE_CHECKING:
    from pathlib import Path

    from worker.settings import WorkerSettings

log = logging.getLogger(__name__)
_ENVIRONMENT = "default"


async def serve(settings: WorkerSettings) -> None:
    """Run a worker until SIGTERM or SIGINT. Raises SandboxUnavailable if it can never run a program."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    worker_id = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    metrics = WorkerMetrics(slots=settings.slots, starts=settings.starts)
    with own_folder(settings.state_dir.absolute() / "run", worker_id) as folder:
        async with _sandbox(settings, folder) as sandbox:
            if isinstance(sandbox, Sandbox):
                await sandbox.prove()
                metrics.watch(sandbox.pools)
            await _work(settings, worker_id, sandbox, metrics, stop)


def _sandbox(settings: WorkerSettings, folder: Path) -> Sandbox | NoopSandbox:
    if settings.sandbox == "noop":
        return NoopSandbox()
    root = settings.environment_root
    config = SandboxConfig(
        run_dir=folder / "jails",
        slots=settings.slots,
        warm=settings.warm or settings.starts,
        cgroups=settings.cgroups,
        zygote_cells=settings.zygote_cells,
        zygote_age_s=settings.zygote_age_s,
    )
    return Sandbox(default_environment(root) if root else bare_environment(), config)


async def _work(
    settings: WorkerSettings,
    worker_id: str,
    sandbox: Sandbox | NoopSandbox,
    metrics: WorkerMetrics,
    stop: asyncio.Event,
) -> None:
    opened = open_all(split_urls(settings.redis_url.get_secret_value()))
    broker_settings = BrokerSettings(result_ttl_s=settings.result_ttl_s)
    broker = worker_broker_of(opened, broker_settings, worker=worker_id)
    runner = Runner(
        sandbox,
        broker.emit,
        shared=SharedPrograms(broker.shared, bound_bytes=settings.shared_bytes),
        environment=_ENVIRONMENT,
        max_attempts=broker_settings.max_attempts,
    )
    consumer = Consumer(broker, runner, metrics, slots=settings.slots, starts=settings.starts)
    info = WorkerInfo(id=worker_id, slots=settings.slots, environments=(_ENVIRONMENT,), started_at=time.time())
    lease_s = broker_settings.lease_s
    door = http.server(
        metrics.registry,
        lambda: "draining" if consumer.draining else "",
        host=settings.metrics_host,
        port=settings.metrics_port,
    )
    async with asyncio.TaskGroup() as group:
        consuming = group.create_task(consumer.consume())
        beside = [
            group.create_task(work)
            for work in (
                leases.renew(broker, consumer, lease_s=lease_s),
                leases.reclaim(broker, consumer, lease_s=lease_s),
                leases.hear_cancellations(broker, consumer),
                door.serve(),
            )
        ]
        announcing = group.create_task(leases.announce(broker, info, metrics.redis_round_trip))
        log.info("worker ready", extra={"event": "worker_ready", "worker": worker_id, "slots": settings.slots})
        await stop.wait()
        log.info("worker drains", extra={"event": "worker_drains", "worker": worker_id})
        await tail.stop(announcing)
        await consumer.drain(consuming, settings.drain_s)
        for task in beside:
            await tail.stop(task)
    await close_all(opened)
