"""pip, and what a package's author could make of it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from evalctl.installer import Installer

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_what_pip_starts_is_not_told_the_services_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `.pth` file of a package is run whenever the layer's interpreter starts."""
    monkeypatch.setenv("EVAL_TOKEN_AUTH", "a-secret-token")
    monkeypatch.setenv("OF_THE_OPERATOR", "kept")
    seen, python = tmp_path / "seen", tmp_path / "root/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nenv > {seen}\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)

    Installer(tmp_path / "state", tmp_path / "root").check()

    assert "OF_THE_OPERATOR=kept" in seen.read_text()
    assert "EVAL_TOKEN_AUTH" not in seen.read_text()
