"""Callers that go on whatever happens, and write down what they were told. Every program prints its own number."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sweep
from cluster import ANSWER_S, Answer, post
from redis.exceptions import RedisError

from jobs.keys import Keys
from jobs.model import DEFAULT, Lane

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from random import Random

    import httpx2
    from cluster import Cluster, Service

PAUSE_S = 0.1
"""After a refusal; nobody hammers a service that is down."""
DEEP = 24
"""Jobs in the lane, about four for each slot of a worker that lives."""
TIMEOUT_S = 60
"""Of a program: no machine is so slow that these would need it."""
GIVEN_UP = {"attempts", "sandbox"}
"""Problems of a job that three workers, or three cells of one worker, died under."""
_LANE = Keys().lane(Lane.SINGLE, DEFAULT)
PROGRAMS = (
    "print({n})",
    "import time; time.sleep({t}); print({n})",
    "import sys, time; time.sleep({t}); sys.stderr.write('e' * 100_000); print({n})",
    "import time\nend = time.process_time() + {t} / 5\nwhile time.process_time() < end: pass\nprint({n})",
    "import subprocess; print(subprocess.check_output(['sh', '-c', 'sleep {t}; echo {n}'], text=True), end='')",
    "open('file', 'w').write('{n}'); print(open('file').read())",
    "import os, time\nif os.fork() == 0: time.sleep(9)\nprint({n}, flush=True)\nos._exit(0)",
)


@dataclass
class Told:
    """What callers were told."""

    ended: set[str] = field(default_factory=set)
    """Ids of the jobs whose end was told."""
    given_up: dict[str, str] = field(default_factory=dict)
    """Of these, those that we failed: id -> problem."""
    refused: Counter[str] = field(default_factory=Counter)
    """Answers that are no end of a job, by problem."""
    broken: int = 0
    """Connections that broke under a request."""
    accepted: dict[str, int] = field(default_factory=dict)
    """Asynchronous jobs that got a 202: id -> number."""
    wrong: list[str] = field(default_factory=list)
    """What must not be: another's output, another verdict, no answer."""
    killed: int = 0
    """Programs that ended by SIGKILL: by us, if their cell was what we killed."""
    again: int = 0
    """Results of a second or third attempt."""


class Traffic:
    """Load on a cluster from `start` to `stop`."""

    def __init__(self, cluster: Cluster, random: Random) -> None:
        self.told = Told()
        self._cluster, self._random = cluster, random
        self._numbers = 0
        self._over = asyncio.Event()
        self._callers: list[asyncio.Task[None]] = []
        self._clients: dict[Service, httpx2.AsyncClient] = {}

    def start(self, *, waiting: int, leaving: int) -> None:
        """So many callers wait for their results; so many submit and go."""
        self._callers += [asyncio.create_task(self._wait_for_results()) for _ in range(waiting)]
        self._callers += [asyncio.create_task(self._submit_jobs()) for _ in range(leaving)]

    async def stop(self) -> None:
        """Send nothing new; every answer that is still to come comes."""
        self._over.set()
        await asyncio.gather(*self._callers)

    async def collect(self) -> None:
        """Ask for the result of every accepted job. Each must be there soon, and the same every time."""
        room = asyncio.Semaphore(16)

        async def one(job_id: str, number: int) -> None:
            async with room:
                first, second = [await self._view(job_id) for _ in range(2)]
            if first != second:
                self.told.wrong.append(f"job {job_id} changed its result")
            self._judge(number, first)

        await asyncio.gather(*(one(*item) for item in self.told.accepted.items()))

    async def aclose(self) -> None:
        for client in self._clients.values():
            await client.aclose()

    async def _wait_for_results(self) -> None:
        async for number, request in self._requests():
            answer = await post(self._client(), request)
            if answer.code == 200 or _is_given_up(answer.body):
                self._judge(number, answer.body)
            else:
                self._note_refusal(number, answer)
                await asyncio.sleep(PAUSE_S)

    async def _submit_jobs(self) -> None:
        async for number, request in self._requests():
            while (answer := await self._submit(number, request)).code != 202:
                # Not known whether it was queued: the same key again, which never makes a second job.
                self._note_refusal(number, answer)
                if self._over.is_set():
                    return
                await asyncio.sleep(PAUSE_S)
            self.told.accepted[answer.body["id"]] = number
            await asyncio.sleep(self._random.uniform(0, 10 * PAUSE_S))
            while self._is_deep() and not self._over.is_set():  # noqa: ASYNC110  nobody tells
                await asyncio.sleep(PAUSE_S)

    def _is_deep(self) -> bool:
        """Whether so many jobs wait or run that another would have somebody wait for minutes."""
        with suppress(RedisError):
            return int(self._cluster.redis.xlen(_LANE)) > DEEP
        return False

    async def _submit(self, number: int, request: dict[str, Any]) -> Answer:
        key = {"Idempotency-Key": f"chaos-{number}"}
        return await post(self._client(), request, path="/v1/jobs", **key)

    async def _view(self, job_id: str) -> dict[str, Any]:
        """The job's result, or the problem that it ended with; the whole view while it has neither."""
        response = await self._client().get(f"/v1/jobs/{job_id}", params={"wait_s": 30})
        view: dict[str, Any] = response.json()
        return view.get("result") or view.get("error") or view

    async def _requests(self) -> AsyncIterator[tuple[int, dict[str, Any]]]:
        while not self._over.is_set():
            self._numbers += 1
            number = self._numbers
            code = self._random.choice(PROGRAMS).format(n=number, t=self._random.uniform(0.05, 2.0))
            yield number, {"code": code, "timeout_s": TIMEOUT_S}

    def _judge(self, number: int, told: dict[str, Any]) -> None:
        """Take what is the end of a job: a result, or that it was given up."""
        job_id = told.get("id") or told.get("job_id", "")
        self.told.ended.add(job_id)
        self.told.again += told.get("attempt", 1) > 1
        if _is_given_up(told):
            self.told.given_up[job_id] = _slug(told)
        elif told.get("signal") == signal.SIGKILL:
            self.told.killed += 1
        elif (told.get("status"), told.get("stdout")) != ("ok", f"{number}\n"):
            self.told.wrong.append(f"number {number}: {str(told)[:300]}")

    def _note_refusal(self, number: int, answer: Answer) -> None:
        """Take what leaves open what becomes of a job, if there is one."""
        if answer.code:
            self.told.refused[answer.verdict] += 1
        elif answer.took_s < ANSWER_S:
            self.told.broken += 1
        else:
            self.told.wrong.append(f"number {number}: no answer within {ANSWER_S:g} s; {sweep.standing(self._cluster)}")

    def _client(self) -> httpx2.AsyncClient:
        api = self._random.choice(self._cluster.alive("api"))
        if api not in self._clients:
            self._clients[api] = self._cluster.client(api)
        return self._clients[api]


def _is_given_up(told: dict[str, Any]) -> bool:
    """Whether it says plainly that we failed, whatever the program was, and that it is safe to send again."""
    return _slug(told) in GIVEN_UP and (told["status"], told["safe_to_retry"]) == (500, True)


def _slug(told: dict[str, Any]) -> str:
    return str(told.get("type", "")).rpartition(":")[2]
