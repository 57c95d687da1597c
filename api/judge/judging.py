"""A judge request on its way: submits its cases a few at a time and gives each outcome as it comes.

The window bounds what one request puts into the lane, and what a stop or a hang-up has to cancel. The expected
output is used here and nowhere else.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect

from api import problems, waiting
from api.convert import new_id
from api.edge import report
from api.errors import NoReply
from jobs.errors import BrokerUnavailable, LaneFull
from jobs.model import Verdict, shortened

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from starlette.types import Receive

    from api.judge.plan import Plan
    from api.problems import Problem
    from api.settings import ApiSettings
    from jobs.broker import Inbox, Submitter
    from jobs.model import Job, JobResult, JudgeCase

_PAUSE_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a case came to: a result, a problem of ours, or (not run) neither."""

    number: int
    case: JudgeCase
    verdict: Verdict | None = None
    result: JobResult | None = None
    """Its output cut to what is shown."""
    problem: Problem | None = None


class Judging:
    """One request. `start` it, read its `outcomes` once, and `close` it whatever happens."""

    def __init__(self, plan: Plan, submitter: Submitter, inbox: Inbox, settings: ApiSettings) -> None:
        self._plan, self._submitter, self._inbox, self._settings = plan, submitter, inbox, settings
        self._part_id = plan.template.shared or ""
        self._until = time.monotonic() + settings.max_judge_s
        self._left = deque(enumerate(plan.cases))
        self._running: dict[int, JudgeCase] = {}
        self._first: tuple[Job, asyncio.Future[JobResult]] | None = None
        self._hands: list[asyncio.Task[None]] = []
        self._arrived: list[Outcome] = []
        self._news = asyncio.Event()
        self._in_order = asyncio.Lock()
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def start(self) -> None:
        """Store the program and submit the first case. Raises what submitting raises: then nothing was queued."""
        await self._submitter.share(self._part_id, self._plan.part, ttl_s=self._ttl_s())
        self._first = await self._submit(self._plan.cases[0])

    async def close(self) -> None:
        """Cancel what still waits or runs, forget the program."""
        await self._stop()
        if self._first is not None:
            await self._cancel(*self._first)
        with suppress(BrokerUnavailable):  # it expires
            await self._submitter.unshare(self._part_id)

    async def outcomes(self, receive: Receive, *, silence_s: float) -> AsyncGenerator[Sequence[Outcome]]:
        """Give outcomes in the order in which they come; none of them after a silence. Raises ClientDisconnect."""
        hang_up = asyncio.ensure_future(waiting.hang_up(receive))
        hang_up.add_done_callback(lambda _: self._news.set())
        for _ in range(min(self._settings.judge_window, len(self._left))):
            self._hands.append(asyncio.create_task(self._hand()))
        try:
            told = 0
            while told < len(self._plan.cases):
                outcomes = await self._next(silence_s)
                if hang_up.done():
                    raise ClientDisconnect
                told += len(outcomes)
                yield outcomes
        finally:
            hang_up.cancel()

    async def _next(self, silence_s: float) -> Sequence[Outcome]:
        left_s = max(0.0, self._until - time.monotonic())
        with suppress(TimeoutError):
            async with asyncio.timeout(min(silence_s, left_s)):
                await self._news.wait()
        self._news.clear()
        if time.monotonic() >= self._until:
            await self._abandon(_OVERDUE)
        elif self._plan.stops and any(outcome.verdict is Verdict.FAILED for outcome in self._arrived):
            await self._abandon(None)
        arrived, self._arrived = self._arrived, []
        return arrived

    async def _abandon(self, problem: Problem | None) -> None:
        """Cancel the cases that have no outcome; they get this problem, or count as not run."""
        await self._stop()
        unfinished = sorted([*self._running.items(), *self._left])
        self._running.clear()
        self._left.clear()
        self._arrived += [Outcome(number=number, case=case, problem=problem) for number, case in unfinished]

    async def _stop(self) -> None:
        # Told, not cancelled: redis-py swallows a cancel that comes as its command is just done.
        if not self._over.done():
            self._over.set_result(None)
        await asyncio.gather(*self._hands)

    async def _hand(self) -> None:
        """One of those who work the cases off, each one case at a time."""
        while self._left and not self._over.done():
            number, case = self._left.popleft()
            self._running[number] = case
            outcome = await self._outcome(number, case)
            if outcome is not None:
                del self._running[number]
                self._arrived.append(outcome)
                self._news.set()

    async def _outcome(self, number: int, case: JudgeCase) -> Outcome | None:
        """Run one case to its end; None if all is over before."""
        try:
            result = await self._result(case)
            if result is None:
                return None
            verdict = await self._plan.comparator.judged(result.status, result.stdout, case.expected)
        except Exception as error:  # noqa: BLE001 (one case's trouble is not the others')
            problem = problems.problem_of(error)
            if problem.status == 500:  # noqa: PLR2004
                report({"path": "/v1/judge"}, error)
            return Outcome(number=number, case=case, problem=problem)
        if verdict is None:
            return Outcome(number=number, case=case, problem=problems.failure(result))
        return Outcome(
            number=number, case=case, verdict=verdict, result=shortened(result, self._settings.judge_output_bytes)
        )

    async def _result(self, case: JudgeCase) -> JobResult | None:
        """Run the case; None if all is over before. Raises NoReply, and what submitting raises."""
        begun = await self._begun(case)
        if begun is None:
            return None
        job, future = begun
        timeout_s = job.deadline_at - time.time() + waiting.GRACE_S
        await asyncio.wait((future, self._over), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        result = waiting.settled(future)
        if result is None:
            await self._cancel(job, future)
            if not self._over.done():
                raise NoReply(job.id)
        return result

    async def _begun(self, case: JudgeCase) -> tuple[Job, asyncio.Future[JobResult]] | None:
        """Submit the case; wait for room in the lane, or for Redis, as long as a job waits for a worker."""
        if self._first is not None and case is self._plan.cases[0]:
            first, self._first = self._first, None
            return first
        give_up_at = time.monotonic() + self._settings.queue_timeout_s
        while not self._over.done():
            try:
                if not self._plan.stops:
                    return await self._submit(case)
                async with self._in_order:  # one by one, so that the first cases run first
                    return await self._submit(case)
            except (LaneFull, BrokerUnavailable):
                if time.monotonic() + _PAUSE_S > give_up_at:
                    raise
            await asyncio.wait((self._over,), timeout=_PAUSE_S)
        return None

    async def _submit(self, case: JudgeCase) -> tuple[Job, asyncio.Future[JobResult]]:
        job = self._plan.job(case, job_id=new_id(), now=time.time())
        future = self._inbox.expect(job.id)  # before the submit: a reply may be here before the submit returns
        try:
            await self._submitter.submit(job)
        except LaneFull:
            future.cancel()
            raise
        except BaseException:
            # Nobody knows whether it is queued.
            await self._cancel(job, future)
            raise
        return job, future

    async def _cancel(self, job: Job, future: asyncio.Future[JobResult]) -> None:
        if not future.done():
            future.cancel()
            with suppress(BrokerUnavailable):  # its deadline ends it
                await self._submitter.cancel(job.id)

    def _ttl_s(self) -> int:
        patience_s = self._plan.template.deadline_at - self._plan.template.submitted_at
        return math.ceil(self._settings.max_judge_s + patience_s + waiting.GRACE_S)


_OVERDUE = problems.Problem(
    slug="expired",
    title="Waited too long",
    status=503,
    detail=f"The judge request took its longest time, and this case had not ended. {problems.AGAIN}",
    retry_after_s=1,
    safe_to_retry=True,
)
