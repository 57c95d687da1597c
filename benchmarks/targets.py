"""Every target of `make bench`, in one table, and the judgement over it. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from benchmarks.hostile import HOSTILE


class Judgement(StrEnum):
    PASS = "PASS"
    FAIL = "FAIL"
    STATED = "stated"
    """The figure is told, not judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A bound on a ratio, or on the value of a figure that has no baseline."""

    at_most: float = math.inf
    at_least: float = -math.inf
    aim: float | None = None
    """What we would like; never judged."""

    def met_by(self, number: float) -> bool:
        """NaN, the sign of a figure that could not be measured, meets nothing."""
        return self.at_least <= number <= self.at_most

    def __str__(self) -> str:
        bound = f"≤ {self.at_most:g}" if self.at_most < math.inf else f"≥ {self.at_least:g}"
        return bound if self.aim is None else f"{bound} (aim {self.aim:g})"


LATENCY = "eval p50, 1 at a time, vs nsjail"
THROUGHPUT = "evals, 16 at a time, vs best nsjail"
OPEN_P99 = "open loop, half the best rate, p99"
OPEN_FAILURES = "open loop, failures"
SCIENCE = "import numpy, sympy p50, vs cold"
FAILURES = "closed loops, failures"
BATCH_RATE = "batch, vs best closed loop of evals"
JUDGE_SMALL = "judge, 50 cases, small program, vs 50 evals"
JUDGE_LARGE = "judge, 50 cases, 230 KiB, vs 50 evals"
UNDER_BATCH = "evals at 5/s under a batch, p99"
IMAGE = "eval p50 in an image, vs default environment"
SWITCH_FAILURES = "while something is switched, failures"
UNDER_BATCH_FAILURES = "evals at 5/s under a batch, failures"


def of_language(name: str) -> str:
    """Name of the figure of a language's evals over HTTP, service included."""
    return f"{name} eval p50, vs bare {name}"


def language_alone(name: str) -> str:
    """Name of the figure of a language in the sandbox alone."""
    return f"{name} in the sandbox alone p50, vs bare {name}"


SWITCHES = {
    "image": "default, while an image is switched, p99",
    "packages": "image, while packages are switched, p99",
    "command": "default, while images come and go, p99",
}
"""What is switched -> the figure of an environment that is not."""
BESIDE_FAILURES = "beside hostile programs, failures"


def beside(kind: str) -> str:
    """Name of the figure of a well-behaved program beside hostile ones."""
    return f"p99 beside {kind}"


def complaint(name: str) -> str:
    """Name of the figure of what users of such services complain of: 1 if we do right."""
    return f"evalpool: {name}"


COMPLAINTS = (
    "import numpy",
    "1 MiB of output",
    "200 KiB on both streams",
    "child that outlives its program",
    "endless loop",
    "memory hog",
    "own failure",
    "64 at once",
)

TARGETS = {
    LATENCY: Target(at_most=0.25, aim=0.12),
    THROUGHPUT: Target(at_least=3, aim=5),
    OPEN_P99: Target(at_most=100),  # ms
    OPEN_FAILURES: Target(at_most=0),
    SCIENCE: Target(at_most=0.1),
    FAILURES: Target(at_most=0),
    BATCH_RATE: Target(at_least=0.9, aim=1.2),
    JUDGE_SMALL: Target(at_most=1),
    JUDGE_LARGE: Target(at_most=0.5),
    UNDER_BATCH: Target(at_most=100),  # ms
    UNDER_BATCH_FAILURES: Target(at_most=0),
    IMAGE: Target(at_most=1.2),
    **{name: Target(at_most=100) for name in SWITCHES.values()},  # ms
    SWITCH_FAILURES: Target(at_most=0),
    language_alone("bash"): Target(at_most=1.3),
    language_alone("node"): Target(at_most=1.3, aim=0.5),
    of_language("node"): Target(at_most=1.3),  # bash's is told only: the service alone takes more (ADR 0031)
    **{beside(kind): Target(at_most=100) for kind in HOSTILE},  # ms
    BESIDE_FAILURES: Target(at_most=0),
    **{complaint(name): Target(at_least=1) for name in COMPLAINTS},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the report. A figure with a baseline is judged by its ratio, as only ratios travel."""

    name: str
    value: float
    unit: str
    baseline: float | None = None

    @property
    def ratio(self) -> float | None:
        return None if self.baseline is None else self.value / self.baseline

    @property
    def target(self) -> Target | None:
        return TARGETS.get(self.name)

    @property
    def judgement(self) -> Judgement:
        if self.target is None:
            return Judgement.STATED
        judged = self.value if self.ratio is None else self.ratio
        return Judgement.PASS if self.target.met_by(judged) else Judgement.FAIL
