"""RQ carries a batch: one job per batch, enqueued by name with the batch's id, in JSON.

RQ's own calls block: async code runs these in threads.
"""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from redis import Redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import RedisError
from redis.retry import Retry as RedisRetry
from rq import Queue, Retry, Worker
from rq.callbacks import Callback
from rq.command import send_stop_job_command
from rq.exceptions import DuplicateJobError, InvalidJobOperation, NoSuchJobError
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

from jobs.errors import BrokerUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

QUEUE: Final = "batches"
COORDINATE: Final = "worker.batches.coordinator.coordinate"
ON_STOPPED: Final = "worker.batches.stopped.on_stopped"
MONITORING_S: Final = 2
"""How often a `rq worker` says that it lives (its --job-monitoring-interval)."""
TURN_S: Final = 600
"""A coordinator gives its turn back after this long at the latest."""
ANY_NUMBER: Final = 1_000_000
_SILENT_S = 6
"""A job whose worker has been silent for so long is abandoned."""
_EXPIRY_S = 60
"""What RQ adds to the monitoring interval before it calls a job abandoned."""
_LIVE = frozenset({JobStatus.STARTED, JobStatus.SCHEDULED, JobStatus.DEFERRED})


class Carrier:
    """The RQ queue of batches. Every method may raise BrokerUnavailable."""

    def __init__(self, url: str) -> None:
        # redis-py's `from_url` does not retry unless told to.
        retry = RedisRetry(ExponentialWithJitterBackoff(base=0.01, cap=0.5), 3)
        self._redis = Redis.from_url(url, socket_timeout=3, socket_connect_timeout=3, retry=retry)
        self._queue = Queue(QUEUE, connection=self._redis, serializer=JSONSerializer)

    def enqueue(self, batch_id: str, *, result_ttl_s: int) -> None:
        """Hand a batch over; nothing happens if RQ has a job for it."""
        with _rq_errors(), suppress(DuplicateJobError):
            self._queue.enqueue_call(
                COORDINATE,
                args=(batch_id,),
                timeout=TURN_S * 2,
                result_ttl=result_ttl_s,
                failure_ttl=result_ttl_s,
                description=f"batch {batch_id}",
                job_id=batch_id,
                unique=True,
                retry=Retry(max=ANY_NUMBER),
                on_stopped=Callback(ON_STOPPED),
            )

    def carries(self, batch_id: str) -> bool:
        """Whether RQ has a job for the batch that will run or runs."""
        with _rq_errors():
            job = self._job(batch_id)
            status = None if job is None else job.get_status(refresh=False)
            if status is JobStatus.QUEUED:
                # A worker that died as it took the job has it in no list that anybody looks at.
                return self._queue.get_job_position(batch_id) is not None
            return status in _LIVE

    def replace(self, batch_id: str, *, result_ttl_s: int) -> None:
        """Hand a batch over again whose job RQ gave up or lost."""
        with _rq_errors():
            if job := self._job(batch_id):
                job.delete()
        self.enqueue(batch_id, result_ttl_s=result_ttl_s)

    def stop(self, batch_id: str) -> None:
        """End the batch's job: out of the queue, or its work-horse killed."""
        with _rq_errors(), suppress(InvalidJobOperation, NoSuchJobError):
            job = self._job(batch_id)
            if job is None:
                return
            if job.get_status(refresh=False) is JobStatus.STARTED:
                send_stop_job_command(self._redis, batch_id, serializer=JSONSerializer)
            else:
                job.cancel()

    def others_wait(self) -> bool:
        """Whether another batch waits for a turn."""
        with _rq_errors():
            return bool(self._queue.count)

    def is_leaving(self, worker: str) -> bool:
        """Whether RQ's worker of this name was told to stop: it waits for the turn to end."""
        with _rq_errors():
            key = f"{Worker.redis_worker_namespace_prefix}{worker}"
            return bool(self._redis.hexists(key, "shutdown_requested_date"))

    def reap(self) -> None:
        """Requeue the jobs of dead workers.

        RQ itself looks for them every few minutes; a registry that is asked to clean up as if it were later takes
        jobs whose last sign of life is older than it would wait for.
        """
        with _rq_errors():
            self._queue.started_job_registry.cleanup(timestamp=time.time() + _EXPIRY_S - _SILENT_S + MONITORING_S)

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def _job(self, batch_id: str) -> Job | None:
        with suppress(NoSuchJobError):
            return Job.fetch(batch_id, connection=self._redis, serializer=JSONSerializer)
        return None


@contextmanager
def _rq_errors() -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        raise BrokerUnavailable(f"{type(error).__name__}: {error}") from error
