"""Random harm to a cluster: kills with SIGKILL, and stops that outlast a lease. What is killed is started again."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING

from audit import keep_whole
from cluster import children, until

if TYPE_CHECKING:
    from random import Random

    from cluster import Cluster, Service

WORKERS, APIS = 2, 2
LEASE_S = 5.0
_NEVER = 3
"""Exit code of a worker that could not boot a jail."""
_PAUSE_S = (0.1, 0.9)
_AWAY_S = (0.0, 1.5)


class Kind(StrEnum):
    """What is harmed."""

    CELL = "cell"
    ZYGOTE = "zygote"
    JAIL = "nsjail"
    WORKER = "worker"
    API = "api"
    VALKEY = "valkey"
    STALL = "stall"
    """A worker stopped for longer than its leases, which then goes on and does not know."""


class Storm:
    """Harms a cluster of `WORKERS` workers and `APIS` apis, and keeps it at that size."""

    def __init__(self, cluster: Cluster, random: Random) -> None:
        self.done: Counter[Kind] = Counter()
        self._cluster, self._random = cluster, random
        self._stalled: set[Service] = set()
        self._gave_up: set[Service] = set()

    async def rage(self, seconds: float) -> None:
        """Every kind once, in random order, then any; until the time is over."""
        until = time.monotonic() + seconds
        todo = self._random.sample(list(Kind), len(Kind))
        while todo or time.monotonic() < until:
            self._supervise()
            kind = todo.pop() if todo else self._random.choice(list(Kind))
            await self._harm(kind)
            self.done[kind] += 1
            await asyncio.sleep(self._random.uniform(*_PAUSE_S))

    async def calm(self) -> None:
        """Wait until nobody is stopped any more."""
        await until(lambda: not self._stalled, "the last stalled worker goes on")

    async def _harm(self, kind: Kind) -> None:
        match kind:
            case Kind.CELL | Kind.ZYGOTE | Kind.JAIL:
                await self._kill_below(kind)
            case Kind.WORKER:
                self._worker().kill()
                await asyncio.sleep(self._random.uniform(*_AWAY_S))
                self._cluster.start_worker()
            case Kind.API:
                self._random.choice(self._cluster.alive("api")).kill()
                await self._start_api()
            case Kind.VALKEY:
                self._cluster.valkey.kill()
                await asyncio.sleep(self._random.uniform(*_AWAY_S))
                self._cluster.start_valkey()
                keep_whole(self._cluster.redis)
            case Kind.STALL:
                worker = self._worker()
                worker.process.send_signal(signal.SIGSTOP)
                self._stalled.add(worker)
                for_s = LEASE_S + self._random.uniform(0.5, 2.0)
                asyncio.get_running_loop().call_later(for_s, self._wake, worker)

    async def _kill_below(self, kind: Kind) -> None:
        """One process of some worker's jails; a worker that boots may have none yet."""
        for _ in range(100):
            worker = self._worker()
            with suppress(OSError):  # gone meanwhile
                if pids := sorted(_below(worker, kind)):
                    os.kill(self._random.choice(pids), signal.SIGKILL)
                    return
            await asyncio.sleep(0.05)

    async def _start_api(self) -> None:
        """The apis that live serve meanwhile."""
        api = self._cluster.start_api()
        await self._cluster.serving(api)

    def _supervise(self) -> None:
        """Start a worker again whose jails were killed as often as it tried to boot; nobody else may end."""
        for worker in self._cluster.services:
            if worker.name == "worker" and worker.process.poll() == _NEVER and worker not in self._gave_up:
                self._gave_up.add(worker)
                self._cluster.start_worker()
        size = len(self._cluster.alive("worker")), len(self._cluster.alive("api"))
        assert size == (WORKERS, APIS), "somebody died whom nobody killed"

    def _worker(self) -> Service:
        return self._random.choice(self._cluster.alive("worker"))

    def _wake(self, worker: Service) -> None:
        self._stalled.discard(worker)
        if worker.alive:
            worker.process.send_signal(signal.SIGCONT)


def _below(worker: Service, kind: Kind) -> set[int]:
    if kind is Kind.JAIL:
        return worker.jails()
    zygotes = worker.zygotes()
    return zygotes if kind is Kind.ZYGOTE else {cell for zygote in zygotes for cell in children(zygote)}
