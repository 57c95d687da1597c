from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from evalctl import bootstrap
from evalctl.guards import sole_owner

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def empty_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An environment with nothing to install, so that no index is asked; yields its lock."""
    monkeypatch.setattr(bootstrap, "_ENVIRONMENTS", tmp_path)
    lock = tmp_path / "default.lock"
    lock.write_text("")
    umask = os.umask(0o077)
    yield lock
    os.umask(umask)


def test_an_environment_is_made_once_per_lock(empty_environment: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    first = bootstrap.ensure_environment(state)
    made_at = (first / ".complete").stat().st_mtime_ns

    assert bootstrap.ensure_environment(state) == first
    assert (first / ".complete").stat().st_mtime_ns == made_at
    empty_environment.write_text("# another lock\n")
    assert bootstrap.ensure_environment(state) != first


@pytest.mark.usefixtures("empty_environment")
def test_an_interrupted_environment_is_made_anew(tmp_path: Path) -> None:
    root = bootstrap.environment_root(tmp_path / "state")
    (root / "lib").mkdir(parents=True)
    (root / "lib" / "half-written").touch()
    bootstrap.ensure_environment(tmp_path / "state")

    assert not (root / "lib" / "half-written").exists()
    answer = subprocess.run([root / "bin/python", "-c", "print(1)"], capture_output=True, text=True, check=True)
    assert answer.stdout == "1\n"


@pytest.mark.usefixtures("empty_environment")
def test_an_environment_has_no_pip_and_is_readable_whatever_the_umask(tmp_path: Path) -> None:
    root = bootstrap.ensure_environment(tmp_path / "state")

    assert not list(root.rglob("pip"))
    assert all(path.stat().st_mode & 0o004 for path in root.rglob("*"))


@pytest.mark.usefixtures("empty_environment")
def test_an_environment_does_not_lead_through_a_link_to_the_interpreter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`~/bin/python3` may be one: no cell would see it."""
    link = tmp_path / "bin" / "python3"
    link.parent.mkdir()
    link.symlink_to(os.path.realpath(sys.executable))
    monkeypatch.setattr(sys, "executable", str(link))
    root = bootstrap.ensure_environment(tmp_path / "state")
    targets = [os.readlink(path) for path in (root / "bin").glob("python*")]  # noqa: PTH115  as it is written

    assert os.path.realpath(sys.executable) in targets
    assert str(link) not in targets


def test_a_failed_installation_says_where_and_leaves_no_marker(empty_environment: Path, tmp_path: Path) -> None:
    empty_environment.write_text("evalpool-no-such-package==1 --hash=sha256:" + "0" * 64 + "\n")
    with pytest.raises(bootstrap.BootstrapError, match=r"setup\.log ends with:\n[^$]*evalpool-no-such-package"):
        bootstrap.ensure_environment(tmp_path / "state")

    assert not (bootstrap.environment_root(tmp_path / "state") / ".complete").exists()


def test_a_python_without_ensurepip_is_told_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)

    with pytest.raises(bootstrap.BootstrapError, match=r"apt install python3\.\d+-venv"):
        bootstrap.ensure_venv(tmp_path, dev=False)


class Installed:
    """A venv that is complete, for some interpreter and locks; and what would be run to change it."""

    def __init__(self, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.state, self.ran = state, list[list[str]]()
        self._marker = state / "venv" / ".complete"
        self._marker.parent.mkdir(parents=True)
        monkeypatch.setattr(bootstrap, "_run", lambda _state, argv, **_: self.ran.append(argv))
        self.has(bootstrap._interpreter(), self.lock("requirements.lock"))

    def has(self, *lines: str) -> None:
        self._marker.write_text("\n".join(lines))

    def lock(self, name: str) -> str:
        return f"{name} {bootstrap._digest(bootstrap.CHECKOUT / name)}"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installed:
    return Installed(tmp_path / "state", monkeypatch)


@pytest.mark.parametrize("dev", [False, True])
def test_another_python_does_not_change_the_venv_of_a_running_service(installed: Installed, *, dev: bool) -> None:
    """A distribution's patch release made `make lint` empty the venv from which a service ran."""
    installed.has("python 3.11.0 /usr", installed.lock("requirements.lock"))
    with (
        sole_owner(installed.state),
        pytest.raises(bootstrap.BootstrapError, match=r"^Evalpool runs on [^\n]*made for python 3\.11\.0[^\n]*stop it"),
    ):
        bootstrap.ensure_venv(installed.state, dev=dev)
    assert installed.ran == []

    bootstrap.ensure_venv(installed.state, dev=dev)
    assert "--clear" in installed.ran[0]


def test_other_locked_packages_do_not_either(installed: Installed) -> None:
    installed.has(bootstrap._interpreter(), "requirements.lock of last week")
    with sole_owner(installed.state), pytest.raises(bootstrap.BootstrapError, match="locked packages are others now"):
        bootstrap.ensure_venv(installed.state, dev=False)

    assert installed.ran == []


def test_tools_for_tests_are_added_beside_a_running_service(installed: Installed) -> None:
    """`make up` in one terminal, the first `make test` in another: what the service runs on is not touched."""
    with sole_owner(installed.state):
        bootstrap.ensure_venv(installed.state, dev=True)

    [pip] = installed.ran
    assert pip[-1].endswith("requirements-dev.lock")
    assert "-e" not in pip


def test_clean_removes_ours_and_nothing_else(tmp_path: Path) -> None:
    for name in ("venv/bin/python", "run/valkey.sock", "images/a/etc/passwd", "token", "somebody's thesis"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    bootstrap.clean(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["somebody's thesis"]


def test_clean_leaves_what_an_operator_wrote_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "environments.toml").touch()
    (tmp_path / "token").touch()
    bootstrap.clean(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["environments.toml"]
    assert capsys.readouterr().err == f"evalpool: {tmp_path}/environments.toml is your own and stays\n"


def test_clean_refuses_while_evalpool_runs(tmp_path: Path) -> None:
    with sole_owner(tmp_path), pytest.raises(bootstrap.BootstrapError, match="stop it first"):
        bootstrap.clean(tmp_path)

    assert (tmp_path / "run").exists()


def test_the_locks_name_no_host_and_no_machine() -> None:
    locks = [*bootstrap.CHECKOUT.glob("requirements*.lock"), *bootstrap.CHECKOUT.glob("sandbox/environments/*.lock")]

    assert len(locks) >= 3
    assert [lock.name for lock in locks if "//" in lock.read_text() or "--index" in lock.read_text()] == []


@pytest.mark.usefixtures("empty_environment")
def test_an_environment_without_matplotlib_has_no_list_of_fonts(tmp_path: Path) -> None:
    root = bootstrap.ensure_environment(tmp_path / "state")

    assert list((root / "share" / "matplotlib").iterdir()) == []
