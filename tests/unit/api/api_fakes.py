"""What the api is tested with: a worker and its broker in one object, and a server that tells its port."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from api.server import Server
from jobs.errors import BrokerUnavailable
from jobs.model import (
    Chunk,
    EnvironmentInfo,
    Job,
    JobResult,
    JobState,
    Lane,
    LaneStats,
    Output,
    OutputStream,
    SharedPart,
    Status,
    Submission,
    WorkerInfo,
)

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from fastapi import FastAPI

    from api.settings import ApiSettings

TOKEN = "s3cret-token"


def printed(job: Job, text: str = "hi\n") -> JobResult:
    return JobResult(job_id=job.id, status=Status.OK, stdout=text, exit_code=0, warm=True)


def wrote(text: str, offset: int = 0, *, stream: str = "stdout", attempt: int = 1, run: int = 1) -> Output:
    return Output(attempt=attempt, run=run, chunks=(Chunk(stream=OutputStream(stream), offset=offset, text=text),))


class FakeBroker:
    """Submitter and inbox. `answer` gives a job's result, None for a job that nobody takes, or raises."""

    id = "inbox-1"

    def __init__(self, answer: Callable[[Job], JobResult | None] = printed) -> None:
        self.answer = answer
        self.submitted: dict[str, Job] = {}
        self.cancelled: asyncio.Queue[str] = asyncio.Queue()
        self.parts: dict[str, SharedPart] = {}
        self.results: dict[str, JobResult] = {}
        self.hear: Callable[[Output], None] = lambda _: None
        self.waiting: dict[str, asyncio.Future[JobResult]] = {}
        self.announced: list[WorkerInfo] = [
            WorkerInfo(id="w1", slots=4, environments=("default",), started_at=0.0),
            WorkerInfo(
                id="w2",
                slots=2,
                environments=("default", "science"),
                started_at=0.0,
                about={"science": EnvironmentInfo(filename="a.py", command=("python3", "a.py"), digest="sha256:1")},
            ),
        ]
        self.fault: Exception | None = None
        self.away: list[str] = []
        self.opened = 0
        self.looked = 0
        self.watched = asyncio.Event()

    async def __aenter__(self) -> Self:
        self.opened += 1
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.opened -= 1

    @property
    def last(self) -> Job:
        return list(self.submitted.values())[-1]

    def expect(self, job_id: str) -> asyncio.Future[JobResult]:
        future: asyncio.Future[JobResult] = asyncio.get_running_loop().create_future()
        future.add_done_callback(lambda _: self.waiting.pop(job_id, None))
        self.waiting[job_id] = future
        return future

    def follow(self, job_id: str, hear: Callable[[Output], None]) -> asyncio.Future[JobResult]:
        self.hear = hear
        return self.expect(job_id)

    async def watch(self, job_id: str) -> asyncio.Future[JobResult]:
        future = self.expect(job_id)
        self.watched.set()
        if job_id in self.results:
            future.set_result(self.results[job_id])
        return future

    async def submit(self, job: Job) -> Submission:
        if self.fault is not None:
            raise self.fault
        if job.id in self.submitted:
            return Submission.DUPLICATE
        assert (job.id in self.waiting) == (job.reply_to is not None), "expect comes before submit"
        self.submitted[job.id] = job
        result = self.answer(job)
        if result is not None:
            self.finish(result)
        return Submission.ACCEPTED

    def finish(self, result: JobResult) -> None:
        if self.submitted[result.job_id].keep_result:
            self.results[result.job_id] = result
        if result.job_id in self.waiting:
            self.waiting[result.job_id].set_result(result)

    async def cancel(self, job_id: str) -> None:
        self.cancelled.put_nowait(job_id)

    async def state(self, job_id: str) -> JobState | None:
        if job_id not in self.submitted:
            return None
        return JobState.DONE if job_id in self.results else JobState.QUEUED

    async def result(self, job_id: str) -> JobResult | None:
        return self.results.get(job_id)

    async def share(self, part_id: str, part: SharedPart, *, ttl_s: int) -> None:
        if isinstance(self.fault, BrokerUnavailable):
            raise self.fault
        assert ttl_s > 0
        self.parts[part_id] = part

    async def unshare(self, part_id: str) -> None:
        self.parts.pop(part_id, None)

    async def ping(self) -> None:
        if self.fault is not None:
            raise self.fault

    async def unreachable(self) -> Sequence[str]:
        await self.ping()
        return self.away

    async def workers(self) -> Sequence[WorkerInfo]:
        await self.ping()
        return self.announced

    async def environments(self) -> set[str]:
        self.looked += 1
        return {name for worker in self.announced for name in worker.environments}

    async def lane_stats(self) -> Mapping[Lane, LaneStats]:
        await self.ping()
        return {lane: LaneStats(waiting=7, running=2, oldest_s=0.25) for lane in Lane}

    async def depth(self, lane: Lane) -> int:  # noqa: ARG002
        return 9

    async def dead_letters(self) -> int:
        return 3


class ListeningServer(Server):
    """The real server; tells its port once it listens."""

    def __init__(self, app: FastAPI, settings: ApiSettings) -> None:
        super().__init__(app, settings)
        self.listening: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set_result(self.servers[0].sockets[0].getsockname()[1])
