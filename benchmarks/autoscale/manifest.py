"""Reads a KEDA ScaledObject: its queries as they stand there, and its behaviour. Refuses what it does not know."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import yaml

from benchmarks.autoscale.hpa import Behaviour, Policy, Rules, Select, Unit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_RANGE = re.compile(r"\[(\d+)s\]")


class ManifestError(Exception):
    """The manifest asks for what the demo does not do; the message says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """One query, and how much of it is one replica."""

    name: str
    query: str
    threshold: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """What a ScaledObject says."""

    triggers: Sequence[Trigger]
    behaviour: Behaviour

    def at_most(self, replicas: int) -> Scaling:
        """The same for a machine that holds no more than these."""
        return replace(self, behaviour=replace(self.behaviour, most=min(self.behaviour.most, replicas)))

    def compressed(self, factor: float) -> Scaling:
        """The same story `factor` times as fast: every duration in it, those in the queries too, divided by it."""
        return Scaling(
            triggers=[replace(one, query=_RANGE.sub(_shorter(factor), one.query)) for one in self.triggers],
            behaviour=replace(
                self.behaviour,
                up=_faster(self.behaviour.up, factor),
                down=_faster(self.behaviour.down, factor),
            ),
        )


def read(path: Path) -> Scaling:
    """Raises ManifestError."""
    spec = yaml.safe_load(path.read_text())["spec"]
    behaviour = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    return Scaling(
        triggers=[_trigger(one) for one in spec["triggers"]],
        behaviour=Behaviour(
            least=spec["minReplicaCount"],
            most=spec["maxReplicaCount"],
            up=_rules(behaviour["scaleUp"]),
            down=_rules(behaviour["scaleDown"]),
        ),
    )


def _trigger(one: Mapping[str, Any]) -> Trigger:
    if one["type"] != "prometheus" or one.get("metricType", "AverageValue") != "AverageValue":
        raise ManifestError(f"trigger {one.get('name')}: not a prometheus trigger of type AverageValue")
    metadata = one["metadata"]
    return Trigger(name=one["name"], query=metadata["query"], threshold=float(metadata["threshold"]))


def _rules(rules: Mapping[str, Any]) -> Rules:
    policies = [
        Policy(unit=Unit(one["type"]), value=one["value"], period_s=one["periodSeconds"])
        for one in rules["policies"]
    ]
    select = Select(rules.get("selectPolicy", Select.MAX))
    return Rules(window_s=rules["stabilizationWindowSeconds"], policies=policies, select=select)


def _faster(rules: Rules, factor: float) -> Rules:
    policies = [replace(policy, period_s=policy.period_s / factor) for policy in rules.policies]
    return replace(rules, window_s=rules.window_s / factor, policies=policies)


def _shorter(factor: float) -> Any:
    return lambda found: f"[{max(1, round(int(found[1]) * 1000 / factor))}ms]"
