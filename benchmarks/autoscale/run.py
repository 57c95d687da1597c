"""One run: Prometheus scrapes the cluster, the ScaledObject's queries are put to it, the HPA's algorithm decides,
workers are started and stopped, while a load that waits for nobody comes and goes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import TYPE_CHECKING

import uvloop

from benchmarks.autoscale.hpa import Autoscaler, Reading
from benchmarks.autoscale.prometheus import START_S, prometheus
from benchmarks.autoscale.replicas import Replicas
from benchmarks.autoscale.story import Moment, arrivals
from benchmarks.cluster import ClusterFailed, fleet, free_port
from benchmarks.load import Program, closed_loop, open_loop
from benchmarks.scaling import Busy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.autoscale.manifest import Scaling
    from benchmarks.autoscale.prometheus import Prometheus
    from benchmarks.autoscale.story import Phase
    from benchmarks.load import Endpoint
    from benchmarks.samples import Run

SYNC_S, SCRAPE_S = 15.0, 5.0
"""How often the HPA decides (the controller manager's default), and Prometheus scrapes (deploy/kubernetes)."""
_TICK_S = 0.1
TRIVIAL = Program(code="print(1+1)", stdout="2\n")
CONNECTIONS = 400
"""Enough for what waits while the first workers are too few."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What is run, and how fast its time passes."""

    scaling: Scaling
    phases: Callable[[float], Sequence[Phase]]
    """The load, by what this machine can do: trivial evals per second on the least number of workers."""
    factor: float
    """The autoscaler's seconds per second: its periods, windows and ranges are divided by this."""
    program: Program
    slots: int
    kill_at_s: float
    """When a worker is killed with SIGKILL."""
    warm_up_s: float = 2.0
    """How long to find out what this machine can do."""
    linger_s: float = 0.0
    """How long to wait behind the load for replicas to fall, where they have not."""


@dataclass(slots=True)
class Outcome:
    """What happened."""

    phases: Sequence[Phase]
    offsets_s: Sequence[float]
    run: Run
    moments: list[Moment]
    drained: int
    killed: int


@dataclass
class _Control:
    """The autoscaler and the Deployment, in a thread beside the load."""

    setup: Setup
    monitoring: Prometheus
    replicas: Replicas
    moments: list[Moment] = field(default_factory=list)
    killed: int = 0
    failed: Exception | None = None
    over: Event = field(default_factory=Event)

    def run(self) -> None:
        try:
            self._run()
        except Exception as error:  # noqa: BLE001 (told by whoever joins the thread)
            self.failed = error

    @property
    def fallen(self) -> bool:
        """Whether there were more replicas than are wanted now."""
        return self.moments[-1].wanted < max(moment.wanted for moment in self.moments)

    def values(self) -> dict[str, float | None]:
        """Value of each trigger's query now."""
        scaling = self.setup.scaling.compressed(self.setup.factor)
        return {one.name: self.monitoring.value(one.query) for one in scaling.triggers}

    def _run(self) -> None:
        scaling = self.setup.scaling.compressed(self.setup.factor)
        scaler, began, decide_at, busy = Autoscaler(scaling.behaviour), time.monotonic(), 0.0, Busy()
        while not self.over.wait(_TICK_S):
            now_s = time.monotonic() - began
            if not self.killed and now_s >= self.setup.kill_at_s:
                self.replicas.kill_one()
                self.killed += 1
            if now_s >= decide_at:
                decide_at += SYNC_S / self.setup.factor
                values = self.values()
                readings = [Reading(value=values[one.name], target=one.threshold) for one in scaling.triggers]
                self.replicas.wanted = scaler.decide(now_s, self.replicas.wanted, readings)
                self.moments.append(
                    Moment(
                        at_s=now_s,
                        readings=values,
                        wanted=self.replicas.wanted,
                        ready=self.replicas.ready,
                        busy=busy.since(),
                    )
                )
            self.replicas.reconcile()


def run(setup: Setup, *, say: Callable[[str], None]) -> Outcome:
    """Do it. Raises ClusterFailed, DebsError, OSError."""
    with fleet(EVAL_SLOTS=str(setup.slots), EVAL_STARTS=str(max(4, setup.slots))) as running:
        say("starting Valkey, the API and the least number of workers")
        running.start_redis()
        api = running.start_api()
        behaviour, every_s = setup.scaling.behaviour, SCRAPE_S / setup.factor
        # More than may serve, as those that drain are there too.
        replicas = Replicas(running, [free_port() for _ in range(behaviour.most + 4)], wanted=behaviour.least)
        replicas.reconcile()
        running.wait_until_ready()
        possible = _possible(running.endpoints[0], setup.warm_up_s)
        ports = [api.port, *replicas.ports]
        with prometheus(running.state / "prometheus", ports=ports, scrape_every_s=every_s) as monitoring:
            control = _Control(setup, monitoring, replicas)
            _until(lambda: None not in control.values().values())
            return _under_load(setup.phases(possible), running.endpoints[0], control, say)


def _possible(endpoint: Endpoint, duration_s: float) -> float:
    """Programs that end at once, per second, on the least number of workers. The first ones only warm everything."""

    def load(duration_s: float) -> Run:
        return uvloop.run(closed_loop(endpoint, TRIVIAL, concurrency=16, duration_s=duration_s))

    load(duration_s / 2)
    return load(duration_s).rate


def _until(holds: Callable[[], bool]) -> None:
    give_up = time.monotonic() + START_S
    while not holds():
        if time.monotonic() > give_up:
            raise ClusterFailed("Prometheus has no answer to the queries of the manifest")
        time.sleep(0.1)


def _under_load(
    phases: Sequence[Phase], endpoint: Endpoint, control: _Control, say: Callable[[str], None]
) -> Outcome:
    offsets_s = arrivals(phases)
    say(f"{len(offsets_s)} evals in {offsets_s[-1]:.0f} s")
    thread = Thread(target=control.run, name="autoscaler")
    thread.start()
    try:
        load = open_loop(endpoint, control.setup.program, offsets_s=offsets_s, connections=CONNECTIONS)
        result = uvloop.run(load)
        give_up = time.monotonic() + control.setup.linger_s
        while not control.fallen and thread.is_alive() and time.monotonic() < give_up:
            time.sleep(_TICK_S)
    finally:
        control.over.set()
        thread.join()
    if control.failed is not None:
        raise control.failed
    return Outcome(phases, offsets_s, result, control.moments, control.replicas.drained, control.killed)
