"""What judges each kind of file in `deploy/`: the real reader of it, or its schema. Faults are lines for people."""

from __future__ import annotations

import importlib
import itertools
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from pydantic import ValidationError

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
OVERLAYS = ("small", "hpa", "production")


@dataclass(frozen=True)
class Tools:
    """Paths of programs."""

    promtool: str
    kubectl: str


def prometheus_faults(tools: Tools, deploy: Path) -> list[str]:
    """Configuration, rules and their unit tests, by promtool."""
    folder = deploy / "prometheus"
    commands = [("check", "config", folder / "prometheus.yml")]
    commands += [("test", "rules", test) for test in sorted((folder / "tests").glob("*.yaml"))]
    said = (_said(tools.promtool, *map(str, command)) for command in commands)
    return list(itertools.islice(filter(None, said), 1))


def kubernetes_faults(tools: Tools, deploy: Path, overlay: str) -> list[str]:
    """An overlay rendered by kustomize, each manifest by the models of what reads it."""
    try:
        manifests = rendered(tools, deploy, overlay)
    except subprocess.CalledProcessError as error:
        return [error.stderr]
    return [fault for manifest in manifests for fault in _manifest_faults(manifest)]


def rendered(tools: Tools, deploy: Path, overlay: str) -> list[dict[str, Any]]:
    """Manifests of an overlay. Raises CalledProcessError."""
    command = [tools.kubectl, "kustomize", str(deploy / "kubernetes/overlays" / overlay)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    # libyaml's loader where there is one: the dashboard is two thousand lines.
    return list(yaml.load_all(done.stdout, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


def compose_faults(deploy: Path) -> list[str]:
    """The compose file by the schema of its specification."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    return list(filter(None, [_said(*command, str(deploy / "compose.yaml"))]))


def dashboard_faults(deploy: Path) -> list[str]:
    """The dashboard as Grafana's own types read it: what they drop nobody will see."""
    register_default_plugins()
    asked = json.loads((deploy / "grafana/evalpool.json").read_text())
    try:
        read = Dashboard.from_json(json.loads(json.dumps(asked)))
    except (TypeError, ValueError, KeyError) as error:
        return [repr(error)]
    return list(_dropped(asked, json.loads(JSONEncoder().encode(read))))


def _said(*command: str) -> str:
    """What a program that failed said."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"{done.stdout}\n{done.stderr}".strip()


def _manifest_faults(manifest: dict[str, Any]) -> Iterator[str]:
    name = f"{manifest['kind']} {manifest['metadata']['name']}"
    try:
        # Strict, and from JSON: "2" is no number, as it is none to an API server.
        read = _model(manifest).model_validate_json(json.dumps(manifest), strict=True)
    except (ValidationError, LookupError) as error:
        yield f"{name}: {error}"
        return
    # The models let unknown members pass, and forget them.
    for path in _dropped(manifest, read.model_dump(mode="json", by_alias=True, exclude_unset=True)):
        if (manifest["kind"], path) not in _NEWER:
            yield f"{name}: nobody reads {path}"


_NEWER = {("ScaledObject", "/spec/fallback/behavior")}
"""Of KEDA 2.17; the models that Python 3.11 can have are of 2.16."""
_PACKAGES = {
    "keda.sh": "cloudcoil.models.keda",
    "monitoring.coreos.com": "cloudcoil.models.prometheus_operator",
}


def _model(manifest: dict[str, Any]) -> Any:
    """Class of a manifest by its apiVersion and kind. Raises LookupError."""
    group, _, version = manifest["apiVersion"].rpartition("/")
    package = _PACKAGES.get(group)
    path = f"{package}.{version}" if package else f"cloudcoil.models.kubernetes.{_short(group)}.{version}"
    try:
        return getattr(importlib.import_module(path), manifest["kind"])
    except (ImportError, AttributeError):
        raise LookupError(f"there is no {manifest['apiVersion']} {manifest['kind']}") from None


def _short(group: str) -> str:
    return re.sub(r"\.k8s\.io$", "", group) or "core"


def _dropped(asked: Any, read: Any, path: str = "") -> Iterator[str]:
    """Paths that are in `asked` and not in `read`."""
    if isinstance(asked, dict) and isinstance(read, dict):
        for key, value in asked.items():
            if key in read:
                yield from _dropped(value, read[key], f"{path}/{key}")
            elif value is not None:
                yield f"{path}/{key}"
    elif isinstance(asked, list) and isinstance(read, list):
        for number, pair in enumerate(zip(asked, read, strict=True)):
            yield from _dropped(*pair, f"{path}/{number}")
    elif isinstance(asked, dict | list) or isinstance(read, dict | list):
        yield path
