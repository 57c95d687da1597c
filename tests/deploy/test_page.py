"""What docs/deploy.md has one write is what kustomize and the cluster's types take."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from validators import DEPLOY, kubernetes_faults, rendered

if TYPE_CHECKING:
    from pathlib import Path

    from validators import Tools

PAGE = (DEPLOY.parent / "docs/deploy.md").read_text()
FIRST, *MORE = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def pool(folder: Path, *parts: str) -> Path:
    """The folder that the page has one make, as an overlay; gives the `deploy` that it is in."""
    deploy = shutil.copytree(DEPLOY, folder / "evalpool/deploy")
    whole: dict[str, Any] = {}
    for part in parts:
        whole |= yaml.safe_load(part)
    (deploy / "kubernetes/overlays/pool").mkdir()
    text = yaml.safe_dump(whole).replace("../evalpool/deploy/kubernetes/", "../../")
    (deploy / "kubernetes/overlays/pool/kustomization.yaml").write_text(text)
    return deploy


def test_the_page_has_one_write_some() -> None:
    assert yaml.safe_load(FIRST)["kind"] == "Kustomization"
    assert len(MORE) >= 5


@pytest.mark.parametrize("more", ["", *MORE])
@pytest.mark.parametrize("overlay", ["small", "production"])
def test_it_is_taken(tools: Tools, tmp_path: Path, overlay: str, more: str) -> None:
    deploy = pool(tmp_path, FIRST.replace("overlays/small", f"overlays/{overlay}"), more or "{}")

    assert kubernetes_faults(tools, deploy, "pool") == []


def test_it_does_what_it_says(tools: Tools, tmp_path: Path) -> None:
    whole = [part for part in MORE if "configMapGenerator" in part or "ipBlock" in part]
    manifests = rendered(tools, pool(tmp_path, FIRST, *whole), "pool")
    text = yaml.safe_dump_all(manifests)

    assert "EVAL_MAX_TIMEOUT_S: '120'" in text
    assert "EVAL_LOG_LEVEL: info" in text
    assert "cidr: 10.20.30.40/32" in text
    assert "StatefulSet" not in {one["kind"] for one in manifests}
    assert {one for one in re.findall(r"image: (\S+)", text) if "evalpool" in one} == {
        "REGISTRY/evalpool-api:0.1.0",
        "REGISTRY/evalpool-worker:0.1.0",
    }


def test_the_page_makes_the_secrets_that_pods_ask_for(tools: Tools, tmp_path: Path) -> None:
    text = yaml.safe_dump_all(rendered(tools, pool(tmp_path, FIRST), "pool"))
    asked = set(re.findall(r"secret(?:Ref|KeyRef):\n(?:\s+key: \S+\n)?\s+name: (\S+)", text))

    assert asked == set(re.findall(r"create secret generic (\S+)", PAGE))


def test_grafana_finds_what_compose_mounts() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    provisioning = DEPLOY / "grafana/provisioning"
    [source] = yaml.safe_load((provisioning / "datasources/prometheus.yaml").read_text())["datasources"]
    [provider] = yaml.safe_load((provisioning / "dashboards/evalpool.yaml").read_text())["providers"]
    mounted = [volume.split(":")[1] for volume in services["grafana"]["volumes"]]

    assert source["url"] == "http://prometheus:9090"
    assert "prometheus" in services
    assert f"{provider['options']['path']}/evalpool.json" in mounted
    assert "/etc/grafana/provisioning" in mounted
    assert services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] in mounted
