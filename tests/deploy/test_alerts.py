"""Every alert has a runbook and unit tests; the operator's copy of the rules is the rules."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import yaml
from validators import DEPLOY

RUNBOOKS = DEPLOY.parent / "docs/runbooks"
PROMETHEUS = DEPLOY / "prometheus"


def rules() -> list[dict[str, Any]]:
    files = [yaml.safe_load(file.read_text()) for file in (PROMETHEUS / "rules").glob("*.yaml")]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}


def expectations() -> list[dict[str, Any]]:
    files = [yaml.safe_load(file.read_text()) for file in (PROMETHEUS / "tests").glob("*.yaml")]
    return [one for file in files for test in file["tests"] for one in test["alert_rule_test"]]


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    pages = {page.stem for page in RUNBOOKS.glob("*.md")} - {"README"}
    index = (RUNBOOKS / "README.md").read_text()

    assert pages == set(ALERTS)
    for name, rule in ALERTS.items():
        assert rule["annotations"]["runbook"] == f"docs/runbooks/{name}.md"
        assert f"| [{name}]({name}.md) | {rule['labels']['severity']} |" in index


def test_every_runbook_says_what_it_means_what_callers_feel_where_to_look_and_what_to_do() -> None:
    for name in ALERTS:
        text = (RUNBOOKS / f"{name}.md").read_text()
        parts = [f"# {name}\n", "**It means:** ", "**Callers:** ", "## Look\n", "## Do\n"]

        assert sorted(parts, key=text.index) == parts, name


def test_every_alert_is_tested_where_it_fires_and_where_it_is_silent() -> None:
    """A name that no rule has is silent too: only names of rules are expected."""
    firing = {one["alertname"] for one in expectations() if one["exp_alerts"]}
    silent = {one["alertname"] for one in expectations() if not one["exp_alerts"]}

    assert firing == set(ALERTS)
    assert silent == set(ALERTS)


def test_severities_are_two() -> None:
    assert {rule["labels"]["severity"] for rule in ALERTS.values()} == {"page", "ticket"}


def test_the_operators_rules_are_the_rules() -> None:
    made = subprocess.run([sys.executable, PROMETHEUS / "make.py"], capture_output=True, text=True, check=True).stdout

    assert (PROMETHEUS / "kubernetes/rules.yaml").read_text() == made, "python deploy/prometheus/make.py"
