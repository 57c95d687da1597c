"""Load on `POST /v1/eval`, closed loop (n callers, each waits) and open loop (arrivals wait for nobody).

An open loop charges every answer from the moment its request *should* have left, so a server that
stalls is billed for all who would have come meanwhile (no coordinated omission).
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from itertools import repeat
from time import perf_counter
from typing import TYPE_CHECKING

import msgspec

from benchmarks.client import Connection, ProtocolViolation
from benchmarks.samples import Run, Sample

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

REQUEST_TIMEOUT_S = 30.0
OPEN_LOOP_CONNECTIONS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where the api listens, what lets us in, and how it is spoken to."""

    host: str
    port: int
    token: str

    def encode(self, program: Program) -> bytes:
        """All bytes of the request that runs a program."""
        asked = {"code": program.code}
        if program.environment != "default":
            asked["environment"] = program.environment
        return self.post("/v1/eval", asked, Authorization=f"Bearer {self.token}")

    def judge(self, program: Program, code: int, body: bytes) -> Answer:
        """What came back: `ok` only if it is what the program prints."""
        if code != 200:
            return Answer(status=f"http_{code}")
        try:
            answer = _decode(body)
        except msgspec.DecodeError:
            return Answer()
        if answer.status == "ok" and program.stdout not in {None, answer.stdout}:
            answer.status = "wrong_output"
        return answer

    def post(self, path: str, asked: Mapping[str, object], **headers: str) -> bytes:
        """All bytes of a request with a JSON body."""
        body = json.dumps(asked).encode()
        more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\n{more}"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program and what it must print; None: whatever it prints is right."""

    code: str
    stdout: str | None
    environment: str = "default"


class _Timing(msgspec.Struct):
    queue_ms: float = 0.0
    run_ms: float = 0.0


class Answer(msgspec.Struct):
    """The fields of an eval response that are looked at."""

    status: str = "unreadable"
    stdout: str = ""
    warm: bool = False
    timing: _Timing = msgspec.field(default_factory=_Timing)


_decode = msgspec.json.Decoder(Answer).decode


class Caller:
    """One connection that posts programs."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint, self._connection = endpoint, Connection(endpoint.host, endpoint.port)

    async def open(self) -> None:
        await self._connection.open()

    def close(self) -> None:
        self._connection.close()

    async def call(self, program: Program, intended: float) -> Sample:
        """Post once. `intended`: `perf_counter` time from which the answer is charged."""
        payload, sent = _encoded(self._endpoint, program), perf_counter()
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                code, body, _ = await self._connection.request(payload)
        except (OSError, ProtocolViolation) as error:  # TimeoutError is an OSError
            self._connection.close()
            return Sample(perf_counter() - intended, 0, type(error).__name__, late_s=sent - intended)
        latency_s = perf_counter() - intended
        answer = self._endpoint.judge(program, code, body)
        queue_s, run_s = answer.timing.queue_ms / 1000, answer.timing.run_ms / 1000
        return Sample(latency_s, code, answer.status, answer.warm, sent - intended, run_s, queue_s)


@cache
def _encoded(endpoint: Endpoint, program: Program) -> bytes:
    return endpoint.encode(program)


async def closed_loop(
    endpoint: Endpoint,
    program: Program,
    *,
    concurrency: int,
    requests: int = sys.maxsize,
    duration_s: float = math.inf,
) -> Run:
    """`concurrency` callers, each sending its next request when it has its answer.

    Ends after `requests` in all or `duration_s`, whichever comes first. Raises OSError if nobody listens.
    """
    samples: list[Sample] = []
    async with _callers(endpoint, concurrency) as callers:
        start = perf_counter()
        tickets = _tickets(requests, until=start + duration_s)
        await asyncio.gather(*(_keep_calling(caller, program, tickets, samples) for caller in callers))
        return Run(samples=samples, elapsed_s=perf_counter() - start)


def _tickets(requests: int, *, until: float) -> Iterator[float]:
    """One start time per request that may still be sent; shared by all callers."""
    for _ in range(requests):
        if (now := perf_counter()) >= until:
            return
        yield now


async def _keep_calling(caller: Caller, program: Program, tickets: Iterator[float], samples: list[Sample]) -> None:
    for start in tickets:
        samples.append(await caller.call(program, start))  # noqa: PERF401 (all callers share the list)


async def open_loop(
    endpoint: Endpoint,
    program: Program | Sequence[Program],
    *,
    offsets_s: Sequence[float],
    connections: int = OPEN_LOOP_CONNECTIONS,
) -> Run:
    """One request at each offset from the start, whatever became of those before it. One program, or one for each.

    With all `connections` busy a request waits for one, and the wait is charged to its latency.
    """
    idle: asyncio.LifoQueue[Caller] = asyncio.LifoQueue()
    programs = repeat(program, len(offsets_s)) if isinstance(program, Program) else program
    async with _callers(endpoint, connections) as callers:
        for caller in callers:
            idle.put_nowait(caller)
        start = perf_counter()
        calls = []
        for one, offset_s in zip(programs, offsets_s, strict=True):
            await _sleep_until(start + offset_s)
            calls.append(asyncio.create_task(_call_when_idle(idle, one, start + offset_s)))
        samples = await asyncio.gather(*calls)
        return Run(samples=samples, elapsed_s=perf_counter() - start)


async def _call_when_idle(idle: asyncio.LifoQueue[Caller], program: Program, intended: float) -> Sample:
    caller = await idle.get()
    try:
        return await caller.call(program, intended)
    finally:
        idle.put_nowait(caller)


async def _sleep_until(moment: float) -> None:
    """Sleep to `moment` or up to 1 ms past it: uvloop's timers count whole milliseconds, rounding down."""
    if (delay_s := moment - perf_counter()) > 0:
        await asyncio.sleep(math.ceil(delay_s * 1000) / 1000)


def evenly(*, rate: float, duration_s: float) -> list[float]:
    """Offsets of arrivals spaced evenly, `rate` per second."""
    return [i / rate for i in range(int(rate * duration_s))]


@asynccontextmanager
async def _callers(endpoint: Endpoint, count: int) -> AsyncIterator[list[Caller]]:
    """Callers with open connections: connecting is no part of what is measured."""
    callers = [Caller(endpoint) for _ in range(count)]
    try:
        await asyncio.gather(*(caller.open() for caller in callers))
        yield callers
    finally:
        for caller in callers:
            caller.close()
