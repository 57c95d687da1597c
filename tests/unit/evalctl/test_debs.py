"""Tools from Debian packages, without root and without touching the machine."""

from __future__ import annotations

import subprocess

import pytest

from evalctl import debs


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("state")


def test_a_tool_on_path_is_used_as_it_is(tmp_path, monkeypatch):
    (tmp_path / "promtool").write_text("#!/bin/sh\n")
    (tmp_path / "promtool").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert debs.tool(tmp_path / "state", "promtool") == str(tmp_path / "promtool")
    assert not (tmp_path / "state").exists()


def test_without_apt_the_error_names_the_tool(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(debs.DebsError, match="skopeo is not on PATH and this machine has no apt-get"):
        debs.tool(tmp_path / "state", "skopeo")


def test_a_package_is_unpacked_once_and_runs(state):
    root = debs.unpacked(state, "hello")
    before = root.stat().st_mtime_ns

    assert b"Hello" in subprocess.run([root / "usr/bin/hello"], capture_output=True, check=True).stdout
    assert debs.unpacked(state, "hello") == root
    assert root.stat().st_mtime_ns == before
    assert not (state / "tools/hello.partial").exists()


def test_a_package_that_is_not_there_is_an_error_and_leaves_nothing(state):
    with pytest.raises(debs.DebsError, match=r"cannot download no-such-package-here; see .*log"):
        debs.unpacked(state, "no-such-package-here")

    assert not (state / "tools/no-such-package-here").exists()
