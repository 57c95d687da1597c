"""What the Kubernetes HorizontalPodAutoscaler does with its metrics, step for step as published (autoscaling/v2).

Wanted replicas per metric (within the tolerance: as many as there are), the highest of them, stabilised over the
windows, limited by the policies' changes per period, within minimum and maximum. Pure: time is told to it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

TOLERANCE = 0.1
"""The controller manager's default."""


class Select(StrEnum):
    """Which of several policies counts."""

    MAX = "Max"
    MIN = "Min"
    DISABLED = "Disabled"


class Unit(StrEnum):
    """What a policy counts in."""

    PODS = "Pods"
    PERCENT = "Percent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Change by at most this much in each period."""

    unit: Unit
    value: int
    period_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How to go in one direction."""

    window_s: float
    policies: Sequence[Policy]
    select: Select = Select.MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """All that rules the number of replicas beside the metrics."""

    least: int
    most: int
    up: Rules
    down: Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One external metric of type AverageValue; no value: it could not be had."""

    value: float | None
    target: float

    def wanted(self, replicas: int) -> int | None:
        """Replicas by this metric alone."""
        if self.value is None:
            return None
        if replicas and abs(self.value / (self.target * replicas) - 1) <= TOLERANCE:
            return replicas
        return math.ceil(self.value / self.target)


@dataclass(slots=True)
class Autoscaler:
    """Remembers its recommendations and its steps, as the controller does."""

    behaviour: Behaviour
    _recommended: list[tuple[float, int]] = field(default_factory=list)
    _steps: list[tuple[float, int]] = field(default_factory=list)
    """When, and by how many replicas; positive is up."""

    def decide(self, now_s: float, replicas: int, readings: Sequence[Reading]) -> int:
        """Replicas from now on."""
        least, most = self.behaviour.least, self.behaviour.most
        if not least <= replicas <= most:
            decided = min(max(replicas, least), most)
        else:
            decided = self._limited(now_s, replicas, self._stable(now_s, replicas, _highest(replicas, readings)))
        if decided != replicas:
            self._steps.append((now_s, decided - replicas))
        return decided

    def _stable(self, now_s: float, replicas: int, wanted: int) -> int:
        """The least change that all recommendations of the window support."""
        up, down = self.behaviour.up.window_s, self.behaviour.down.window_s
        kept = [(at, count) for at, count in self._recommended if now_s - at < max(up, down)]
        self._recommended = [*kept, (now_s, wanted)]
        lowest = min([wanted, *(count for at, count in kept if now_s - at < up)])
        highest = max([wanted, *(count for at, count in kept if now_s - at < down)])
        return min(max(replicas, lowest), highest)

    def _limited(self, now_s: float, replicas: int, wanted: int) -> int:
        if wanted > replicas:
            rules, combine = self.behaviour.up, {Select.MAX: max, Select.MIN: min}
            limits = [self._up(now_s, replicas, policy) for policy in rules.policies]
        else:
            rules, combine = self.behaviour.down, {Select.MAX: min, Select.MIN: max}
            limits = [self._down(now_s, replicas, policy) for policy in rules.policies]
        if rules.select is Select.DISABLED:
            return replicas
        limit = combine[rules.select](limits)
        if wanted > replicas:
            return min(wanted, self.behaviour.most, max(limit, replicas))
        return max(wanted, self.behaviour.least, min(limit, replicas))

    def _up(self, now_s: float, replicas: int, policy: Policy) -> int:
        start = self._at_start(now_s, replicas, policy)
        if policy.unit is Unit.PODS:
            return start + policy.value
        return math.ceil(start * (1 + policy.value / 100))

    def _down(self, now_s: float, replicas: int, policy: Policy) -> int:
        start = self._at_start(now_s, replicas, policy)
        if policy.unit is Unit.PODS:
            return start - policy.value
        return math.floor(start * (1 - policy.value / 100))

    def _at_start(self, now_s: float, replicas: int, policy: Policy) -> int:
        """Replicas at the start of the policy's period that ends now."""
        return replicas - sum(change for at, change in self._steps if now_s - at < policy.period_s)


def _highest(replicas: int, readings: Sequence[Reading]) -> int:
    """What the highest metric wants; with one of them missing, never less than there is."""
    wanted = [count for reading in readings if (count := reading.wanted(replicas)) is not None]
    if not wanted:
        return replicas
    return max(wanted) if len(wanted) == len(readings) else max(replicas, *wanted)
