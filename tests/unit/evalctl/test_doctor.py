from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

import pytest

from evalctl.doctor import Check, Level, doctor
from evalctl.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.from_env({"EVAL_STATE_DIR": str(tmp_path), "EVAL_PORT": "1024"})


def found(settings: Settings, capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, str]]:
    doctor(settings, as_json=True)
    return {check["name"]: check for check in json.loads(capsys.readouterr().out)}


def test_what_works_here_passes(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    checks = found(settings, capsys)

    assert {checks[name]["level"] for name in ("python", "redis", "disk")} == {"PASS"}


def test_what_does_not_work_comes_with_what_mends_it(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = {"EVAL_STATE_DIR": str(settings.state_dir), "EVAL_PORT": str(other.getsockname()[1])}
        checks = found(Settings.from_env(port), capsys)

    assert (checks["port"]["level"], checks["port"]["fix"]) == ("WARN", "EVAL_PORT=8001")
    assert (checks["environment"]["level"], checks["environment"]["fix"]) == ("WARN", "make setup")


@pytest.mark.parametrize(("level", "code"), [(Level.PASS, 0), (Level.WARN, 0), (Level.FAIL, 1)])
def test_only_a_failure_fails(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, level: Level, code: int
) -> None:
    check = Check(name="user namespaces", level=level, detail="they are off", fix="sysctl -w user.max=1")
    monkeypatch.setattr("evalctl.doctor._own_checks", lambda _settings: [])
    monkeypatch.setattr("evalctl.doctor._walls", lambda: [check])

    assert doctor(settings, as_json=False) == code
    assert f"{level}" in capsys.readouterr().out
