"""What no schema knows: manifests that fit each other, the code, and the least privilege that is promised."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from validators import DEPLOY, OVERLAYS, rendered

from api.settings import ApiSettings
from worker.settings import WorkerSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from validators import Tools

Manifest = dict[str, Any]
WORKLOADS = ("Deployment", "StatefulSet")
GRACE_S = 2


@pytest.fixture(scope="session")
def overlays(tools: Tools) -> dict[str, list[Manifest]]:
    return {overlay: rendered(tools, DEPLOY, overlay) for overlay in OVERLAYS}


@pytest.fixture(params=OVERLAYS)
def manifests(request: pytest.FixtureRequest, overlays: dict[str, list[Manifest]]) -> list[Manifest]:
    return overlays[request.param]


def of_kind(manifests: list[Manifest], *kinds: str) -> list[Manifest]:
    return [one for one in manifests if one["kind"] in kinds]


def named(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    [found] = [one for one in of_kind(manifests, kind) if one["metadata"]["name"] == name]
    return found


def pod(manifests: list[Manifest], component: str) -> Manifest:
    found: Manifest = named(manifests, "Deployment", f"evalpool-{component}")["spec"]["template"]["spec"]
    return found


def variables(spec: Manifest) -> dict[str, str]:
    return {one["name"]: one["value"] for one in spec["containers"][0]["env"]}


def settings(manifests: list[Manifest]) -> dict[str, str]:
    [shared] = [one for one in of_kind(manifests, "ConfigMap") if "settings" in one["metadata"]["name"]]
    found: dict[str, str] = shared["data"]
    return found


def selectors(manifests: list[Manifest]) -> Iterator[tuple[str, dict[str, str]]]:
    for one in manifests:
        spec = one.get("spec", {})
        selector = spec.get("podSelector") or spec.get("selector") or {}
        labels = selector.get("matchLabels", selector if one["kind"] == "Service" else {})
        if labels:
            yield f"{one['kind']} {one['metadata']['name']}", labels


def test_every_selector_selects_a_pod(manifests: list[Manifest]) -> None:
    pods = [one["spec"]["template"]["metadata"]["labels"] for one in of_kind(manifests, *WORKLOADS)]

    for name, labels in selectors(manifests):
        assert any(labels.items() <= pod.items() for pod in pods), name


def test_whoever_scales_scales_something_whose_replicas_no_apply_puts_back(manifests: list[Manifest]) -> None:
    for one in of_kind(manifests, "ScaledObject", "HorizontalPodAutoscaler"):
        target = named(manifests, "Deployment", one["spec"]["scaleTargetRef"]["name"])

        assert "replicas" not in target["spec"]


def test_probes_services_and_monitors_ask_ports_that_there_are(manifests: list[Manifest]) -> None:
    ports = set()
    for one in of_kind(manifests, *WORKLOADS):
        container = one["spec"]["template"]["spec"]["containers"][0]
        declared = {port["name"] for port in container.get("ports", ())}
        ports |= declared
        probes = [probe for name, probe in container.items() if name.endswith("Probe") and "httpGet" in probe]

        assert {probe["httpGet"]["port"] for probe in probes} <= declared
    asked = {port["targetPort"] for one in of_kind(manifests, "Service") for port in one["spec"]["ports"]}
    asked |= {end["port"] for one in of_kind(manifests, "PodMonitor") for end in one["spec"]["podMetricsEndpoints"]}

    assert asked <= ports


def test_ports_are_those_that_processes_are_told(manifests: list[Manifest]) -> None:
    for component, variable in (("api", "EVAL_PORT"), ("worker", "EVAL_METRICS_PORT")):
        spec = pod(manifests, component)

        assert variables(spec)[variable] == str(spec["containers"][0]["ports"][0]["containerPort"])


def test_every_variable_is_a_setting(manifests: list[Manifest]) -> None:
    known = {f"EVAL_{name.upper()}" for one in (ApiSettings, WorkerSettings) for name in one.model_fields}
    told = set(settings(manifests))
    for component in ("api", "worker", "coordinator"):
        told |= {name for name in variables(pod(manifests, component)) if name.startswith("EVAL_")}

    assert told <= known


def test_settings_can_be_used(manifests: list[Manifest], monkeypatch: pytest.MonkeyPatch) -> None:
    """As the processes read them, with the secrets that the page has one make."""
    for component, kind in (("api", ApiSettings), ("worker", WorkerSettings)):
        for name, value in {**settings(manifests), **variables(pod(manifests, component))}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("EVAL_TOKEN_AUTH", "0123456789abcdef0123")
        monkeypatch.setenv("EVAL_REDIS_URL", "redis://:secret@evalpool-redis:6379/0")

        kind()


def test_grace_periods_hold_the_drains(manifests: list[Manifest], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**settings(manifests), **variables(pod(manifests, "api"))}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("EVAL_TOKEN_AUTH", "0123456789abcdef0123")
    api = ApiSettings()
    drain_s = float(variables(pod(manifests, "worker"))["EVAL_DRAIN_S"])

    assert drain_s > api.max_timeout_s
    assert pod(manifests, "worker")["terminationGracePeriodSeconds"] >= drain_s + 3 + 3 + 5
    waits_s = api.drain_delay_s + api.queue_timeout_s + api.max_timeout_s + GRACE_S
    assert pod(manifests, "api")["terminationGracePeriodSeconds"] >= waits_s + 5


def test_pods_are_restricted_but_for_what_workers_need(manifests: list[Manifest]) -> None:
    """The standard `restricted` of Kubernetes; workers' exceptions are listed here, and in docs/privileges.md."""
    for one in of_kind(manifests, *WORKLOADS):
        spec = one["spec"]["template"]["spec"]
        container = spec["containers"][0]["securityContext"]
        worker = one["metadata"]["name"] == "evalpool-worker"

        assert not any(spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC"))
        assert spec["automountServiceAccountToken"] is False
        assert (container["allowPrivilegeEscalation"], container["readOnlyRootFilesystem"]) == (False, True)
        assert "privileged" not in container
        assert container["capabilities"]["drop"] == ["ALL"]
        assert all("hostPath" not in volume for volume in spec.get("volumes", ()))
        assert spec["containers"][0]["resources"]["limits"]["memory"]
        if worker:
            assert spec["hostUsers"] is False
            assert container["capabilities"]["add"] == ["SETGID", "SETUID"]
        else:
            assert spec["securityContext"]["runAsNonRoot"] is True
            assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
            assert "add" not in container["capabilities"]


def test_workers_have_no_token_of_callers(manifests: list[Manifest]) -> None:
    def secrets(component: str) -> set[str]:
        return {one["secretRef"]["name"] for one in pod(manifests, component)["containers"][0]["envFrom"][1:]}

    assert secrets("api") == {"evalpool-secrets"}
    assert secrets("worker") == secrets("coordinator") == {"evalpool-worker-secrets"}


def test_workers_reach_redis_and_names_only(manifests: list[Manifest]) -> None:
    labels = {"app.kubernetes.io/component": "worker", "app.kubernetes.io/name": "evalpool"}
    policies = [one for one in of_kind(manifests, "NetworkPolicy") if selects(one["spec"]["podSelector"], labels)]
    allowed = [rule for one in policies for rule in one["spec"].get("egress", ())]

    assert any(not one["spec"]["podSelector"].get("matchExpressions") for one in policies), "one denies by default"
    assert [sorted(port["port"] for port in rule["ports"]) for rule in allowed] == [[6379], [53, 53]]
    assert allowed[0]["to"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "redis"
    assert allowed[1]["to"][0]["podSelector"] == {
        "matchExpressions": [{"key": "k8s-app", "operator": "In", "values": ["kube-dns"]}]
    }


def test_redis_is_reached_by_its_clients_and_by_the_autoscaler_that_asks_it(
    overlays: dict[str, list[Manifest]],
) -> None:
    labels = {"app.kubernetes.io/component": "redis", "app.kubernetes.io/name": "evalpool"}
    for overlay, manifests in overlays.items():
        policies = [one["spec"] for one in of_kind(manifests, "NetworkPolicy")]
        rules = [rule for one in policies if selects(one["podSelector"], labels) for rule in one.get("ingress", ())]
        namespaces = [
            source["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
            for rule in rules
            for source in rule["from"]
            if "namespaceSelector" in source
        ]
        triggers = [trigger for one in of_kind(manifests, "ScaledObject") for trigger in one["spec"]["triggers"]]
        asks = any(trigger["type"] == "redis" for trigger in triggers)

        assert namespaces == (["keda"] if asks else []), overlay


def selects(selector: Manifest, labels: dict[str, str]) -> bool:
    wanted = selector.get("matchLabels", {}).items() <= labels.items()
    return wanted and all(labels[one["key"]] in one["values"] for one in selector.get("matchExpressions", ()))


def test_images_name_no_registry(manifests: list[Manifest]) -> None:
    images = [one["spec"]["template"]["spec"]["containers"][0]["image"] for one in of_kind(manifests, *WORKLOADS)]
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"].values()
    images += [re.sub(r"\$\{\w+:-(.+)\}", r"\1", one["image"]) for one in compose]
    for file in DEPLOY.glob("*.Dockerfile"):
        images += re.findall(r"^ARG \w+_IMAGE=(\S+)", file.read_text(), re.MULTILINE)

    assert len(images) > 10
    for image in images:
        assert not re.search(r"[.:]", image.split("/")[0]) or "/" not in image, image
        assert re.search(r":[\w.-]+$", image), f"{image} has no tag"


def test_compose_tells_settings_that_there_are_and_mounts_files_that_there_are() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    known = {f"EVAL_{name.upper()}" for one in (ApiSettings, WorkerSettings) for name in one.model_fields}
    for name in ("api", "worker", "coordinator"):
        assert {one for one in services[name]["environment"] if one.startswith("EVAL_")} <= known
        assert (DEPLOY.parent / services[name]["build"]["dockerfile"]).exists()
    for service in services.values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert not source.startswith(".") or (DEPLOY / source).exists(), source
        for option in service["security_opt"]:
            assert not option.startswith("seccomp=") or (DEPLOY / option.partition("=")[2]).exists(), option
