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

from jobs.connect import connect
from jobs.model import WorkerInfo
from jobs.redis_broker import RedisWorkerBroker
from jobs.settings import BrokerSettings
from sandbox import RunSpec, Sandbox, SandboxConfig, SandboxUnavailable, bare_environment, default_environment
from worker import http, leases
from worker.consumer import Consumer
from worker.metrics import WorkerMetrics
from worker.noop import NoopSandbox
from worker.runner import Runner

if TYPE_CHECKING:
    from worker.settings import WorkerSettings

log = logging.getLogger(__name__)
_PROOFS = ("print('ok')", "import numpy; print('ok')")


async def serve(settings: WorkerSettings) -> None:
    """Run a worker until SIGTERM or SIGINT. Raises SandboxUnavailable if it can never run a program."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    worker_id = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    metrics = WorkerMetrics(settings.slots)
    async with _sandbox(settings, worker_id) as sandbox:
        if isinstance(sandbox, Sandbox):
            await _prove(sandbox)
            metrics.watch(sandbox.pools)
        await _work(settings, worker_id, sandbox, metrics, stop)


def _sandbox(settings: WorkerSettings, worker_id: str) -> Sandbox | NoopSandbox:
    if settings.sandbox == "noop":
        return NoopSandbox()
    root = settings.environment_root
    config = SandboxConfig(
        run_dir=settings.state_dir.absolute() / "run" / worker_id,
        slots=settings.slots,
        warm=settings.warm,
        cgroups=settings.cgroups,
        zygote_cells=settings.zygote_cells,
        zygote_age_s=settings.zygote_age_s,
    )
    return Sandbox(default_environment(root) if root else bare_environment(), config)


async def _prove(sandbox: Sandbox) -> None:
    """Be ready only when a cell of each tier has really run something."""
    for code in _PROOFS[: len(sandbox.pools)]:
        report = await sandbox.run(RunSpec(code=code))
        if report.stdout != b"ok\n":
            raise SandboxUnavailable(f"a first program did not run: {report}")


async def _work(
    settings: WorkerSettings,
    worker_id: str,
    sandbox: Sandbox | NoopSandbox,
    metrics: WorkerMetrics,
    stop: asyncio.Event,
) -> None:
    connections = connect(settings.redis_url.get_secret_value())
    broker_settings = BrokerSettings()
    broker = RedisWorkerBroker(connections, broker_settings, worker=worker_id)
    runner = Runner(sandbox, broker.emit, max_attempts=broker_settings.max_attempts)
    consumer = Consumer(broker, runner, metrics, slots=settings.slots)
    info = WorkerInfo(id=worker_id, slots=settings.slots, environments=("default",), started_at=time.time())
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
        announcing = group.create_task(leases.announce(broker, info))
        log.info("worker ready", extra={"event": "worker_ready", "worker": worker_id, "slots": settings.slots})
        await stop.wait()
        log.info("worker drains", extra={"event": "worker_drains", "worker": worker_id})
        announcing.cancel()
        await consumer.drain(settings.drain_s)
        await consuming
        # What the last lease brought in while we drained.
        await consumer.drain(settings.drain_s)
        for task in beside:
            task.cancel()
    await connections.aclose()
