"""The model that `benchmarks.simulate` runs: arrivals, Redis shards, one lane, workers with slots and processors.

Seeded and pure. Processors are shared evenly by whatever runs on them (as Linux does); shards serve one job after the
other; a free slot of any worker takes the oldest job that waits. Seconds throughout.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TAKEOVER_S = 5.5
"""After the death of a worker its jobs are taken over: the lease, and half the time between two looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What one eval takes. The two sequences are measured, and drawn from."""

    edge_s: Sequence[float]
    """Outside of the slot: API, queue, reply."""
    slot_s: Sequence[float]
    """In the slot, of processors: start, run, end."""
    nap_s: float = 0.0
    """In the slot, of no processor."""
    turn_s: float = 0.0
    """In the slot, of no processor, behind the reply: until it takes the next job."""
    behind_s: float = 0.0
    """Of processors, behind the reply: teardown, the next cell."""
    redis_s: float = 0.0
    """Of its shard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What is simulated."""

    costs: Costs
    workers: int
    slots: int
    cores: int
    """Of each worker, or of the whole machine if `one_machine`."""
    one_machine: bool = False
    """Workers, API and load share the cores, as in the calibration."""
    shards: int = 1


@dataclass(slots=True)
class Job:
    arrived_s: float
    nap_s: float
    worker: int = -1
    attempt: int = 0


@dataclass(slots=True)
class Seen:
    """What became of the jobs, in the order of their ends."""

    arrived_s: list[float] = field(default_factory=list)
    latency_s: list[float] = field(default_factory=list)


class Clock:
    """What happens next."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._numbers = itertools.count()
        self._events: list[tuple[float, int, Callable[[], None]]] = []

    def at(self, when_s: float, then: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when_s, next(self._numbers), then))

    def run(self) -> None:
        """Until nothing is left to happen."""
        while self._events:
            self.now_s, _, then = heapq.heappop(self._events)
            then()


class Processors:
    """Some cores, shared evenly; no task gets more than one. Kept in virtual time: what each task has had so far."""

    def __init__(self, clock: Clock, cores: int) -> None:
        self._clock, self._cores = clock, cores
        self._had_s, self._since_s = 0.0, 0.0
        self._tasks: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._version = 0

    def work(self, demand_s: float, then: Callable[[], None]) -> None:
        """Have so much processor time used, then go on."""
        self._advance()
        heapq.heappush(self._tasks, (self._had_s + demand_s, next(self._numbers), then))
        self._plan()

    def _advance(self) -> None:
        self._had_s += (self._clock.now_s - self._since_s) * self._speed()
        self._since_s = self._clock.now_s

    def _speed(self) -> float:
        return min(1.0, self._cores / len(self._tasks)) if self._tasks else 0.0

    def _plan(self) -> None:
        self._version += 1
        if self._tasks:
            version, left_s = self._version, max(0.0, self._tasks[0][0] - self._had_s)
            self._clock.at(self._clock.now_s + left_s / self._speed(), lambda: self._end(version))

    def _end(self, version: int) -> None:
        if version != self._version:
            return  # somebody came or went since this was planned
        self._advance()
        _, _, then = heapq.heappop(self._tasks)
        self._plan()
        then()


class Simulation:
    """One run. `arrivals_s` in any order; `lose` workers die at `lose_at_s`, with what runs in them."""

    def __init__(self, setup: Setup, *, seed: int = 1) -> None:
        self._setup, self._dice, self._clock = setup, random.Random(seed), Clock()
        shared = Processors(self._clock, setup.cores)
        self._processors = [
            shared if setup.one_machine else Processors(self._clock, setup.cores) for _ in range(setup.workers)
        ]
        self._edge = shared if setup.one_machine else None
        self._lane: deque[Job] = deque()
        # Slot by slot over the workers, so that a quiet system spreads its jobs.
        self._free = deque(number for _ in range(setup.slots) for number in range(setup.workers))
        self._redis_free_s = [0.0] * setup.shards
        self._running: list[set[int]] = [set() for _ in range(setup.workers)]
        self._jobs: dict[int, Job] = {}
        self._dead: set[int] = set()
        self.seen = Seen()

    def run(
        self, arrivals_s: Sequence[float], naps_s: Sequence[float] = (), *, lose: int = 0, lose_at_s: float = 0.0
    ) -> Seen:
        """`naps_s`: of each arrival, instead of the one nap of all."""
        for at_s, nap_s in zip(arrivals_s, naps_s or [self._setup.costs.nap_s] * len(arrivals_s), strict=True):
            job = Job(at_s, nap_s)
            self._clock.at(at_s, lambda job=job: self._arrive(job))
        if lose:
            self._clock.at(lose_at_s, lambda: self._lose(lose))
        self._clock.run()
        return self.seen

    def _arrive(self, job: Job) -> None:
        edge_s = self._dice.choice(self._setup.costs.edge_s)
        if self._edge is not None:
            self._edge.work(edge_s, lambda: self._queue(job))
        else:
            self._clock.at(self._clock.now_s + edge_s, lambda: self._queue(job))

    def _queue(self, job: Job) -> None:
        shard = self._dice.randrange(self._setup.shards)
        begin_s = max(self._clock.now_s, self._redis_free_s[shard])
        self._redis_free_s[shard] = begin_s + self._setup.costs.redis_s
        self._clock.at(self._redis_free_s[shard], lambda: self._wait(job))

    def _wait(self, job: Job) -> None:
        self._lane.append(job)
        self._start()

    def _start(self) -> None:
        while self._lane and self._free:
            worker = self._free.popleft()
            if worker in self._dead:
                continue
            job = self._lane.popleft()
            job.worker, job.attempt = worker, job.attempt + 1
            self._running[worker].add(id(job))
            self._jobs[id(job)] = job
            self._run(job, job.attempt)

    def _run(self, job: Job, attempt: int) -> None:
        costs, processors = self._setup.costs, self._processors[job.worker]

        def nap() -> None:
            self._clock.at(self._clock.now_s + job.nap_s, lambda: self._end(job, attempt))

        processors.work(self._dice.choice(costs.slot_s), nap)

    def _end(self, job: Job, attempt: int) -> None:
        if job.attempt != attempt or job.worker in self._dead:
            return  # its worker died under it
        worker = job.worker
        self._running[worker].discard(id(job))
        del self._jobs[id(job)]
        self.seen.arrived_s.append(job.arrived_s)
        self.seen.latency_s.append(self._clock.now_s - job.arrived_s)
        costs = self._setup.costs
        if costs.behind_s:
            self._processors[worker].work(costs.behind_s, lambda: None)
        if costs.turn_s:
            self._clock.at(self._clock.now_s + costs.turn_s, lambda: self._turn(worker))
        else:
            self._turn(worker)

    def _turn(self, worker: int) -> None:
        self._free.append(worker)
        self._start()

    def _lose(self, count: int) -> None:
        self._dead = set(range(count))
        again = [self._jobs.pop(number) for worker in self._dead for number in self._running[worker]]
        for job in again:
            self._clock.at(self._clock.now_s + TAKEOVER_S, lambda job=job: self._wait(job))


def poisson(rate: float, duration_s: float, *, seed: int = 1) -> list[float]:
    """Arrivals at random."""
    dice, at_s, found = random.Random(seed), 0.0, []
    while (at_s := at_s + dice.expovariate(rate)) < duration_s:
        found.append(at_s)
    return found
