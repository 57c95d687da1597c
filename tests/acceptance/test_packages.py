"""`evalctl packages` with real wheels, pip and cells: switched in one step, and nothing changed by what fails."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from cluster import Cluster
from wheels import wheel

from evalctl import bootstrap
from evalctl.layers import Layers
from sandbox.guest import linux

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

IMPORT = "try:\n  import plain; print(plain.VERSION)\nexcept ImportError: print('none')"
pytestmark = [pytest.mark.jail, pytest.mark.timeout(300)]


class Packages:
    """A state folder with an environment that has nothing, and wheels to add."""

    def __init__(self, folder: Path) -> None:
        self.state, self.wheels = folder / "state", folder / "wheels"
        self.base = bootstrap.environment_root(self.state)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", self.base], check=True)
        (self.base / ".complete").touch()
        wheel(self.wheels, "plain", "1.0")
        wheel(self.wheels, "plain", "2.0")
        wheel(self.wheels, "needs_old", "1.0", requires=["plain<2"])
        wheel(self.wheels, "broken", "1.0", {"broken/__init__.py": b"import nothing_of_this_name\n"})

    def run(
        self, *words: str, before: Callable[[], None] | None = None, **more: str
    ) -> subprocess.CompletedProcess[str]:
        """One `evalctl packages` command."""
        given = ["--no-index", "--find-links", str(self.wheels)] if words[0] in {"add", "remove"} else []
        command = [sys.executable, "-m", "evalctl", "packages", *words, *given]
        ours = {name: value for name, value in os.environ.items() if not name.startswith("EVAL_")}
        env = ours | {"EVAL_STATE_DIR": str(self.state)} | more
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False, preexec_fn=before)

    def done(self, *words: str) -> str:
        done = self.run(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refused(self, *words: str) -> str:
        """Why it did not; what is in use must be as before."""
        before = self.in_use()
        done = self.run(*words)
        assert (done.returncode, done.stderr.count("\n")) in {(1, 1), (1, 2), (1, 3)}, done.stderr
        assert self.in_use() == before
        assert not list(self.state.rglob(".partial-*"))
        return done.stderr

    def listed(self) -> list[str]:
        return self.done("list").splitlines()

    def in_use(self) -> Path:
        return (self.state / "environments" / "current").resolve()

    def digest(self) -> str:
        """Of everything in the base: names, contents, times."""
        found = hashlib.sha256()
        for path in sorted(self.base.rglob("*")):
            content = path.read_bytes() if path.is_file() else b""
            found.update(f"{path} {path.lstat().st_mtime_ns} {content!r}".encode())
        return found.hexdigest()


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    return Packages(tmp_path_factory.mktemp("packages"))


def test_added_changed_removed_and_gone_back_to(packages: Packages) -> None:
    untouched = packages.digest()

    assert "plain==1.0" in packages.done("add", "plain==1.0")
    first = packages.in_use()
    old = {path: path.read_bytes() for path in first.rglob("plain*") if path.is_file()}
    assert "plain==2.0" in packages.done("add", "plain==2.0")
    assert {path: path.read_bytes() for path in old} == old  # what runs in the old layer is not disturbed
    assert "plain==1.0" in packages.done("rollback")
    assert packages.listed() == ["* plain==1.0"]
    packages.done("add", "needs_old")
    packages.done("remove", "plain")
    assert packages.listed() == ["* needs-old==1.0", "  plain==1.0"]
    assert "needs-old 1.0 has requirement plain<2" in packages.refused("add", "plain==2.0")
    assert packages.digest() == untouched


def test_what_cannot_be_is_said_in_a_sentence_and_changes_nothing(packages: Packages, tmp_path: Path) -> None:
    assert "there is no plain==9" in packages.refused("add", "plain==9")
    assert "conflict" in packages.refused("add", "plain==2.0", "needs_old")
    assert "import broken fails in a cell: ModuleNotFoundError" in packages.refused("add", "broken")
    assert "is no requirement" in packages.refused("add", "./wheel.whl")
    assert "say what to add" in packages.refused("add")
    assert "was not added" in packages.refused("remove", "plain")
    file = tmp_path / "requirements.txt"
    file.write_text(f"broken==1.0 --hash=sha256:{'0' * 64}\n")
    assert "does not have the hash" in packages.refused("add", "-r", str(file))


async def test_workers_follow_under_load_and_lose_no_job(packages: Packages) -> None:
    layers = Layers(packages.state, packages.base)
    layers.point(packages.base)
    with Cluster(layers.pointer) as cluster:
        await cluster.ready()
        slow = asyncio.create_task(cluster.eval("import os, time; time.sleep(4); print(len(os.listdir('/opt')))"))
        adding = asyncio.create_task(asyncio.to_thread(packages.done, "add", "plain==2.0"))
        answers, switched_at = [], None
        until = time.monotonic() + 100
        while switched_at is None or time.monotonic() < switched_at + 1:
            assert time.monotonic() < until
            found = await asyncio.gather(*(cluster.eval(IMPORT) for _ in range(4)))
            answers += [(answer.verdict, answer.stdout) for answer in found]
            if switched_at is None and answers[-1][1] == "2.0\n":
                switched_at = time.monotonic()
        await adding

        assert {verdict for verdict, _ in answers} == {"ok"}
        assert {stdout for _, stdout in answers} == {"none\n", "2.0\n"}
        assert (await slow).stdout == "1\n"
        assert cluster.worker.metric("evalpool_redeliveries_total") == 0


def test_a_command_that_is_killed_changes_nothing_and_the_next_one_cleans_up(packages: Packages) -> None:
    before, command = packages.in_use(), [sys.executable, "-m", "evalctl", "packages", "add", "plain==1.0"]
    environ = os.environ | {"EVAL_STATE_DIR": str(packages.state)}
    with subprocess.Popen([*command, "--no-index"], env=environ, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "installing" in process.stderr.readline()
        process.kill()
    left = list(packages.state.rglob(".partial-*"))
    packages.listed()

    assert (len(left), packages.in_use()) == (1, before)
    assert not list(packages.state.rglob(".partial-*"))


def test_an_environment_of_the_operators_own_is_left_alone(packages: Packages) -> None:
    done = packages.run("list", EVAL_ENVIRONMENT_ROOT=str(packages.base))

    assert (done.returncode, "of your own" in done.stderr) == (1, True)


def test_a_full_disk_changes_nothing(packages: Packages) -> None:
    """The state folder on a file system of 24 MiB, in a mount namespace of the command's own."""
    wheel(packages.wheels, "huge", "1.0", {"huge.py": b"#" * (32 << 20)})
    kept = packages.state.with_name("kept")

    def cover() -> None:
        uid, gid = os.getuid(), os.getgid()
        if uid:
            linux.unshare(linux.CLONE_NEWUSER | linux.CLONE_NEWNS)
            for name, line in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
                with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123
                    file.write(line)
        else:
            linux.unshare(linux.CLONE_NEWNS)
            linux.mount("none", "/", "", linux.MS_REC | linux.MS_PRIVATE)
        linux.mount("tmpfs", str(packages.state), "tmpfs", 0, "size=24m,mode=0755")
        shutil.copytree(kept, packages.state, symlinks=True, dirs_exist_ok=True)

    shutil.copytree(packages.state, kept, symlinks=True)
    done = packages.run("add", "huge", before=cover)

    assert (done.returncode, "the disk is full; nothing was changed" in done.stderr) == (1, True), done.stderr
