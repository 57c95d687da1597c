"""The service in one process: the real app on the broker in memory, and a worker that answers at once.

As a script: serves it on the listening socket of a descriptor, with a Redis: `service.py FD URL`.
"""

from __future__ import annotations

import sys
from hashlib import sha256
from typing import TYPE_CHECKING

import uvicorn
from pydantic import SecretStr

from api.app import create_app
from api.settings import ApiSettings
from jobs.memory_broker import MemoryBroker
from jobs.model import Chunk, JobResult, Output, OutputStream, Reason, Status, WorkerInfo

if TYPE_CHECKING:
    from fastapi import FastAPI

    from jobs.model import Job, Submission

TOKEN = "s3cret-token"
STATUSES = (*[Status.OK] * 4, *Status)
FOR_EVER_S = 1e9


class AnsweringBroker(MemoryBroker):
    """Every job gets, before its submit returns, a result of a kind that its program picks: all kinds occur."""

    async def submit(self, job: Job) -> Submission:
        submission = await super().submit(job)
        worker = self.worker("w1")
        for delivery in await worker.lease(single=1, batch=0, wait_s=0):
            chunk = Chunk(stream=OutputStream.STDOUT, offset=0, text=job.code)
            await worker.emit(delivery, Output(attempt=1, run=1, chunks=(chunk,)))
            await worker.finish(delivery, result_of(job))
        return submission


def result_of(job: Job) -> JobResult:
    """Any result that a worker may send, by the digest of the program."""
    pick = int.from_bytes(sha256(job.code.encode()).digest()[:4])
    status = STATUSES[pick % len(STATUSES)]
    reason = list(Reason)[pick // 100 % len(Reason)] if status in (Status.INTERNAL, Status.CANCELLED) else None
    return JobResult(
        job_id=job.id,
        status=status,
        reason=reason,
        stdout=job.code,
        stderr=job.stdin,
        exit_code=pick % 3 if status in (Status.OK, Status.ERROR) else None,
        signal=9 if status is Status.KILLED else None,
        files={name: bytes([pick % 256]) for name in job.outputs},
    )


def make_app(redis_url: str) -> FastAPI:
    """Build the app; on the Redis are only its batches."""
    broker = AnsweringBroker()
    info = WorkerInfo(id="w1", slots=4, environments=("default",), started_at=0.0)
    broker.notices["w1"] = (broker.clock() + FOR_EVER_S, info)
    return create_app(ApiSettings(token_auth=SecretStr(TOKEN), redis_url=SecretStr(redis_url)), broker, broker.inbox())


if __name__ == "__main__":
    uvicorn.run(make_app(sys.argv[2]), fd=int(sys.argv[1]), log_level="critical")
