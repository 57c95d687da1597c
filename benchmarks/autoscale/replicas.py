"""Stands in for a Deployment: keeps so many workers running, replaces those that die, drains those too many."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.cluster import Child, Fleet


@dataclass(eq=False)
class Replicas:
    """The workers of a fleet. `reconcile` is called again and again."""

    fleet: Fleet
    ports: Sequence[int]
    """Of the workers' /metrics: Prometheus knows them all from the start, as it hears of new ones every 5 s only."""
    wanted: int
    drained: int = 0
    """Workers told to stop so far."""
    _leaving: set[int] = field(default_factory=set)
    """Pids of these."""
    _ready: set[int] = field(default_factory=set)

    @property
    def staying(self) -> list[Child]:
        """Workers that run and were not told to stop, the oldest first."""
        return [one for one in self.fleet.alive("worker") if one.process.pid not in self._leaving]

    @property
    def ready(self) -> int:
        """Of these, how many have served."""
        for worker in self.staying:
            if worker.process.pid not in self._ready and worker.ready:
                self._ready.add(worker.process.pid)
        return sum(worker.process.pid in self._ready for worker in self.staying)

    def reconcile(self) -> None:
        """Start what is missing, drain what is too many (the newest)."""
        staying = self.staying
        taken = {worker.port for worker in self.fleet.alive("worker")}
        free = [port for port in self.ports if port not in taken]
        # As many as have a port: those that drain keep theirs.
        for port in free[: max(0, self.wanted - len(staying))]:
            self.fleet.start_worker(port=port)
        for worker in staying[self.wanted :]:
            worker.tell(signal.SIGTERM)
            self._leaving.add(worker.process.pid)
            self.drained += 1

    def kill_one(self) -> None:
        """kill -9 of the oldest."""
        self.staying[0].tell(signal.SIGKILL)
