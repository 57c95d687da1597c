"""What was measured on this machine, and whether the simulation gives it again.

`bench scaling` tells what an eval costs, `bench calibrate` how it is when load comes at random: programs that wait,
on workers that do not share processors (the model's own world), and programs that compute, on workers that do.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

import msgspec

from benchmarks import report
from benchmarks.des import Costs, Setup, Simulation, poisson
from benchmarks.samples import percentile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

OFF = 0.2
"""Of p50 and p99, how much the simulation may be off."""
NAP_S = (0.03, 0.06)
"""Programs that wait do so for a time between these, drawn evenly."""
COMPUTE_S = 0.01
"""Processor time of programs that compute."""
_LEAST, _LEAST_S = 250, 8.0
"""Arrivals, and seconds, of a measured point."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Arrivals at random, the same at each call: what is measured is simulated to the very arrival."""

    offsets_s: Sequence[float]
    naps_s: Sequence[float]


def schedule(rate: float) -> Schedule:
    """Some seconds of load at this rate, per second."""
    dice, offsets_s = random.Random(int(rate * 100)), poisson(rate, max(_LEAST / rate, _LEAST_S), seed=int(rate * 100))
    return Schedule(offsets_s=offsets_s, naps_s=[round(dice.uniform(*NAP_S), 4) for _ in offsets_s])


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """What was measured on this machine. Seconds of processor time per eval, but for the distributions."""

    edge_s: Sequence[float]
    """Request to answer, less lease to result, with nothing else running."""
    slot_s: Sequence[float]
    """Lease to result, less the program's own time, with nothing else running."""
    turn_s: float
    """A slot's time between two programs when jobs wait."""
    redis_s: float
    api_s: float
    worker_s: float
    """Of worker, jails and cells together."""
    cpu_s: float
    """Of everything, the load's own too."""
    calibration: Mapping[str, Any]

    @classmethod
    def read(cls, scaling: Path, calibration: Path) -> Here:
        costs, found = msgspec.json.decode(scaling.read_bytes()), msgspec.json.decode(calibration.read_bytes())
        one, queue = costs["evals"][0]["cpu_ms"], costs["queue"][0]["cpu_ms"]
        return cls(
            edge_s=[edge for edge, _ in found["calm_s"]],
            slot_s=[over for _, over in found["calm_s"]],
            turn_s=found["turn_s"],
            redis_s=queue["valkey"] / 1000,
            api_s=one["api"] / 1000,
            worker_s=(one["worker"] + one["cells"]) / 1000,
            cpu_s=found["cpu_per_eval_s"],
            calibration=found,
        )

    def costs(self, *, cpu_s: float = 0.0, nap_s: float = 0.0, machine: bool = False) -> Costs:
        """Of an eval whose program uses and waits so much; `machine`: API, load and workers share processors."""
        all_s = self.cpu_s - fmean(self.edge_s) if machine else self.worker_s
        return Costs(
            edge_s=self.edge_s,
            slot_s=[one + cpu_s for one in self.slot_s],
            nap_s=nap_s,
            turn_s=self.turn_s,
            behind_s=max(0.0, all_s - fmean(self.slot_s)),
            redis_s=self.redis_s,
        )

    def costs_at(self, point: Mapping[str, Any]) -> Costs:
        """As the answers of a measured point tell them."""
        pickup_s = self.calibration["pickup_s"]
        return Costs(
            edge_s=[one + pickup_s for one in point["edge_s"]],
            slot_s=[max(0.0, one) for one in point["slot_s"]],
            turn_s=self.turn_s,
        )


def latest(kind: str) -> Path:
    """The newest measurement: `scaling` or `calibration`. Raises FileNotFoundError."""
    found = sorted(report.RESULTS.glob(f"{kind}-*.json"))
    if not found:
        raise FileNotFoundError(f"no results/{kind}-*.json: run `evalctl bench scaling` and `evalctl bench calibrate`")
    return found[-1]


def reproduced(here: Here, kind: str) -> list[dict[str, float]]:
    """Measured and simulated p50 and p99 of each point, over the very same arrivals and programs.

    `waits`: workers have processors enough, as in the plans; what an eval takes beside its program is as the answers
    of that point say, what it waits is not looked at. `computes`: all share this machine's processors, and what an eval
    takes is that of an eval alone: the sharing is the model's.
    """
    machine = kind == "computes"
    rows = []
    for one in here.calibration[kind]:
        setup = Setup(
            costs=here.costs(cpu_s=COMPUTE_S, machine=True) if machine else here.costs_at(one),
            workers=one["workers"],
            slots=here.calibration["slots"],
            cores=here.calibration["cores"],
            one_machine=machine,
        )
        load = schedule(one["rate"])
        seen = Simulation(setup).run(load.offsets_s, [0.0] * len(load.naps_s) if machine else load.naps_s)
        row = {"workers": one["workers"], "full": one["full"], "rate": one["rate"]}
        for name, share in (("p50", 0.5), ("p99", 0.99)):
            simulated, measured = percentile(seen.latency_s, share), one[f"{name}_s"]
            row |= {name: measured, f"{name}_simulated": simulated, f"{name}_off": simulated / measured - 1}
        rows.append(row)
    return rows
