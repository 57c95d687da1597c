"""One delivery -> one result: judge the deadline, run, translate. Knows no broker."""

from __future__ import annotations

import asyncio
import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Protocol

from jobs.errors import BrokerUnavailable
from jobs.model import Reason, Status
from sandbox import Bytecode, JailFailed, NotSupported
from worker.judge import judged
from worker.live import Live
from worker.translate import Began, failure_of, result_of, spec_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from jobs.model import Delivery, Job, JobResult, Output
    from sandbox import RunReport, RunSpec
    from worker.shared import SharedPrograms

log = logging.getLogger(__name__)
_TRIES = 3
_GRACE_S = 0.2
"""For a program's own limit to be what ends it at its deadline: to kill it from here costs more."""


class Runs(Protocol):
    """The sandbox, or what stands in for it when the queue alone is measured."""

    async def run(self, spec: RunSpec, on_output: Callable[[str, bytes], None] | None = None) -> RunReport:
        """Run one program; `on_output(stream, chunk)` hears what it prints as it prints."""


class Runner:
    """Turns deliveries into results; `emit` shows their output meanwhile. Cancelling `run` kills the program.

    `sandboxes` are by the name of their environment; which there are may change at any time.
    """

    def __init__(
        self,
        sandboxes: Mapping[str, Runs],
        emit: Callable[[Delivery, Output], Awaitable[None]],
        *,
        shared: SharedPrograms,
        max_attempts: int,
    ) -> None:
        self._sandboxes, self._emit, self._shared = sandboxes, emit, shared
        self._max_attempts = max_attempts

    def is_poison(self, delivery: Delivery) -> bool:
        """Whether too many workers have died under this job already."""
        return delivery.attempt > self._max_attempts

    async def run(self, delivery: Delivery) -> JobResult:
        """Run the job to its verdict; what is not the program's doing becomes `internal`, with a reason."""
        began = Began()
        try:
            job, bytecode = await self._complete(delivery.job)
        except BrokerUnavailable:
            return fail(delivery, Reason.EXPIRED, "the deadline passed before the job's program came", began)
        if job is None:
            return fail(delivery, Reason.SHARED, "the program that it shares with other jobs has expired", began)
        if job.judge is not None:
            bytecode = Bytecode.worthwhile(job.code)
            return await judged(job, job.judge, lambda case: self._tried(delivery, case, Began(), bytecode))
        return await self._tried(delivery, job, began, bytecode)

    async def _tried(self, delivery: Delivery, job: Job, began: Began, bytecode: Bytecode | None) -> JobResult:
        """Run the complete job, again if the sandbox fails."""
        for number in range(1, _TRIES + 1):
            left_s = job.deadline_at - time.time()
            if left_s <= 0:
                return fail(delivery, Reason.EXPIRED, "the deadline passed before the job could run", began)
            sandbox = self._sandboxes.get(job.environment)  # each time anew: it may have been switched
            if sandbox is None:
                return fail(delivery, Reason.ENVIRONMENT, "the worker does not serve this environment", began)
            wall_s = min(job.timeout_s, left_s)
            try:
                # The limit counts from the program's start; for what it waits before that, this does.
                async with asyncio.timeout(left_s + _GRACE_S):
                    report = await self._report(sandbox, delivery, spec_of(job, bytecode, wall_s=wall_s), run=number)
            except TimeoutError:
                return fail(delivery, Reason.EXPIRED, "the deadline passed while the job ran", began)
            except NotSupported as error:
                return fail(delivery, Reason.ENVIRONMENT, str(error), began)
            except JailFailed as error:
                log.warning("run failed", extra={"event": "run_failed", "job_id": delivery.job.id, "why": str(error)})
                continue
            if report.timed_out and wall_s < job.timeout_s:
                return fail(delivery, Reason.EXPIRED, "the deadline passed while the job ran", began)
            return result_of(delivery, report, began)
        return fail(delivery, Reason.SANDBOX, "the sandbox failed repeatedly under this job", began)

    async def _complete(self, job: Job) -> tuple[Job | None, Bytecode | None]:
        """Put a job together with what it shares, if it does; None if that is gone."""
        if job.shared is None:
            return job, None
        program = await self._shared.get(job.shared, until=job.deadline_at)
        if program is None:
            return None, None
        return program.complete(job), program.bytecode if "code" in job.shares else None

    async def _report(self, sandbox: Runs, delivery: Delivery, spec: RunSpec, *, run: int) -> RunReport:
        if not delivery.job.stream:
            return await sandbox.run(spec)
        async with Live(partial(self._emit, delivery), attempt=delivery.attempt, run=run) as live:
            return await sandbox.run(spec, live.hear)

    def poisoned(self, delivery: Delivery) -> JobResult:
        """Result of a job that is not run any more."""
        message = f"given up after {self._max_attempts} attempts: the workers died under it"
        return fail(delivery, Reason.ATTEMPTS, message, Began())


def fail(delivery: Delivery, reason: Reason, message: str, began: Began) -> JobResult:
    """Result of a job that came to no verdict, for `reason`."""
    status = Status.CANCELLED if reason is Reason.CALLER else Status.INTERNAL
    return failure_of(delivery, status, reason, message, began)
