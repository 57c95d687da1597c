"""Makes `kubernetes/rules.yaml`, the same rules as the Prometheus operator wants them, out of `rules/`.

`python deploy/prometheus/make.py` prints it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

RULES = Path(__file__).parent / "rules"


def prometheus_rule() -> dict[str, Any]:
    """Build the manifest."""
    groups = [group for file in sorted(RULES.glob("*.yaml")) for group in yaml.safe_load(file.read_text())["groups"]]
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "evalpool", "labels": {"release": "prometheus"}},
        "spec": {"groups": groups},
    }


if __name__ == "__main__":
    sys.stdout.write("# Made by deploy/prometheus/make.py: change ../rules.\n")
    yaml.safe_dump(prometheus_rule(), sys.stdout, sort_keys=False, width=1000)
