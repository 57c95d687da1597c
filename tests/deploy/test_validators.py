"""Every file of `deploy/` passes its validator, and a typo in any kind of them is caught."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, NamedTuple

import pytest
from validators import (
    DEPLOY,
    OVERLAYS,
    compose_faults,
    dashboard_faults,
    kubernetes_faults,
    prometheus_faults,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from validators import Tools

JUDGES: dict[str, Callable[[Tools, Path], list[str]]] = {
    "prometheus": prometheus_faults,
    "compose": lambda _, deploy: compose_faults(deploy),
    "grafana": lambda _, deploy: dashboard_faults(deploy),
    "small": lambda tools, deploy: kubernetes_faults(tools, deploy, "small"),
    "hpa": lambda tools, deploy: kubernetes_faults(tools, deploy, "hpa"),
    "production": lambda tools, deploy: kubernetes_faults(tools, deploy, "production"),
}


class Typo(NamedTuple):
    """One slip of the hand."""

    file: str
    right: str
    wrong: str
    judge: str


BASE, VALKEY, RULES = "kubernetes/base", "kubernetes/components/valkey", "prometheus/rules"
PRODUCTION = "kubernetes/overlays/production"
TYPOS = [
    Typo("prometheus/prometheus.yml", "scrape_configs:", "scrape_config:", "prometheus"),
    Typo("prometheus/prometheus.yml", "refresh_interval: 5s", "refresh_interval: 5sec", "prometheus"),
    Typo(f"{RULES}/sli-request.yaml", 'le="0.1"}[5m]', 'le="0.1"}[5m', "prometheus"),
    Typo(f"{RULES}/sli-overhead.yaml", 'le="0.1"', 'le="0,1"', "prometheus"),
    Typo(f"{RULES}/slo.yaml", "ratio_rate1h > 14.4", "ratio_rate1 > 14.4", "prometheus"),
    Typo(f"{RULES}/infrastructure.yaml", "max(evalpool_workers) == 0", "max(evalpol_workers) == 0", "prometheus"),
    Typo(f"{RULES}/infrastructure.yaml", "severity: page", "severity: pgae", "prometheus"),
    Typo("prometheus/tests/slo.yaml", "exp_alerts:", "expect_alerts:", "prometheus"),
    Typo("prometheus/kubernetes/podmonitor.yaml", "podMetricsEndpoints:", "podMetricsEndpoint:", "production"),
    Typo("prometheus/kubernetes/rules.yaml", "expr:", "exper:", "production"),
    Typo("prometheus/kubernetes/kustomization.yaml", "podmonitor.yaml", "podmonitors.yaml", "production"),
    Typo("grafana/evalpool.json", '"targets": [', '"tragets": [', "grafana"),
    Typo("grafana/evalpool.json", '"expr":', '"exp":', "grafana"),
    Typo("grafana/kustomization.yaml", "evalpool.json", "evalpol.json", "production"),
    Typo("compose.yaml", "depends_on:", "depend_on:", "compose"),
    Typo("compose.yaml", "healthcheck:", "health_check:", "compose"),
    Typo("compose.yaml", "condition: service_healthy", "condition: healthy", "compose"),
    Typo(f"{BASE}/kustomization.yaml", "resources:", "resource:", "small"),
    Typo(f"{BASE}/kustomization.yaml", "- worker.yaml", "- workers.yaml", "small"),
    Typo(f"{BASE}/namespace.yaml", "kind: Namespace", "kind: Namespaces", "small"),
    Typo(f"{BASE}/api.yaml", "readinessProbe:", "readynessProbe:", "small"),
    Typo(f"{BASE}/api.yaml", "maxUnavailable: 1", "maxUnavailible: 1", "small"),
    Typo(f"{BASE}/worker.yaml", "procMount: Unmasked", "procmount: Unmasked", "small"),
    Typo(f"{BASE}/worker.yaml", "terminationGracePeriodSeconds: 90", "terminationGracePeriodSeconds: 90s", "small"),
    Typo(f"{BASE}/worker.yaml", "apiVersion: apps/v1", "apiVersion: app/v1", "small"),
    Typo(f"{BASE}/coordinator.yaml", "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: yess", "small"),
    Typo(f"{BASE}/networkpolicy.yaml", "policyTypes: [Egress]", "policyType: [Egress]", "small"),
    Typo(f"{VALKEY}/valkey.yaml", "serviceName:", "servicename:", "small"),
    Typo("kubernetes/components/profiles/kustomization.yaml", "localhostProfile:", "localhostprofile:", "optional"),
    Typo("kubernetes/components/webhooks/networkpolicy.yaml", "ipBlock:", "ipblock:", "optional"),
    Typo("kubernetes/overlays/small/kustomization.yaml", "count: 2", "count: two", "small"),
    Typo("kubernetes/overlays/hpa/hpa-worker.yaml", "averageUtilization:", "averageUtilisation:", "hpa"),
    Typo("kubernetes/components/api-hpa/hpa.yaml", "maxReplicas: 20", 'maxReplicas: "20"', "hpa"),
    Typo(f"{PRODUCTION}/kustomization.yaml", "path: /spec/replicas", "path: /spec/replica", "production"),
    Typo(f"{PRODUCTION}/scaledobject-worker.yaml", "pollingInterval:", "pollInterval:", "production"),
    Typo(f"{PRODUCTION}/scaledobject-worker.yaml", "scaleDown:", "scaledown:", "production"),
    Typo(f"{PRODUCTION}/scaledobject-coordinator.yaml", "authenticationRef:", "authentificationRef:", "production"),
]  # fmt: skip


COMPONENTS = "components: [../../components/profiles, ../../components/webhooks]\n"


def with_components(deploy: Path) -> Path:
    """The overlay small with the components that no overlay has by itself."""
    overlay = deploy / "kubernetes/overlays/optional"
    overlay.mkdir()
    (overlay / "kustomization.yaml").write_text("resources: [../small]\n" + COMPONENTS)
    return deploy


JUDGES["optional"] = lambda tools, deploy: kubernetes_faults(tools, with_components(deploy), "optional")


@pytest.mark.parametrize("judge", JUDGES)
def test_every_file_passes_its_validator(tools: Tools, tmp_path: Path, judge: str) -> None:
    deploy = shutil.copytree(DEPLOY, tmp_path / "deploy")

    assert JUDGES[judge](tools, deploy) == []


@pytest.mark.parametrize("typo", TYPOS, ids=lambda typo: f"{typo.file}: {typo.wrong}")
def test_a_typo_is_caught(tools: Tools, tmp_path: Path, typo: Typo) -> None:
    deploy = shutil.copytree(DEPLOY, tmp_path / "deploy")
    file = deploy / typo.file
    text = file.read_text()
    assert typo.right in text
    file.write_text(text.replace(typo.right, typo.wrong))

    assert JUDGES[typo.judge](tools, deploy) != []


def test_every_kind_of_file_has_a_typo() -> None:
    """A new file in a place of its own needs one too."""
    judged = {file.relative_to(DEPLOY) for file in DEPLOY.rglob("*") if file.suffix in (".yaml", ".yml", ".json")}
    folders = {str(file.parent) for file in judged} - {"seccomp"}

    assert folders - {str((DEPLOY / typo.file).parent.relative_to(DEPLOY)) for typo in TYPOS} <= {
        "grafana/provisioning/datasources",
        "grafana/provisioning/dashboards",
    }
    assert set(OVERLAYS) == {folder.name for folder in (DEPLOY / "kubernetes/overlays").iterdir()}
