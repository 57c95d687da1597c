"""Bring your own image: from a real registry into cells, by the real command, as root and as an ordinary user."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import images
import pytest
import pytest_asyncio
from cluster import Cluster
from commands import Command, said
from registry import Registry
from roots import small_root

from evalctl.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
IMPORTS = f"import {images.PACKAGE}\nprint({images.PACKAGE}.VALUE)"
AS_ORDINARY = "served_by_running"
"""What an ordinary user does once more."""

pytestmark = [pytest.mark.jail, pytest.mark.timeout(300)]
is_root = os.geteuid() == 0


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """With `library/python:3` and `team/tools:1`, whose package says 42, and `team/tools:2`, where it says 43."""
    folder = tmp_path_factory.mktemp("registry")
    with Registry(folder, Settings.from_env().state_dir) as opened:
        first = images.packed(images.make_root(folder / "root"))
        second = images.tar_of(
            (f"usr/local/lib/{_version()}/site-packages/{images.PACKAGE}.py", b"VALUE = 43\n", lambda _: None),
            ("app/", None, images.as_folder),
            ("app/shown.txt", b"of the image\n", lambda _: None),
            ("hole", None, images.as_device),
            ("fifo", None, images.as_fifo),
            ("usr/bin/root-shell", b"#!/bin/sh\n", images.set_id),
        )
        images.make_layout(folder / "one", first)
        images.make_layout(folder / "two", first, second, env={"FROM_IMAGE": "yes"}, workdir="/app")
        opened.push(folder / "one", "library/python:3")
        opened.push(folder / "one", "team/tools:1")
        opened.push(folder / "two", "team/tools:2")
        yield opened


def _version() -> str:
    return f"python3.{sys.version_info.minor}"


@pytest_asyncio.fixture(scope="module")
async def cluster() -> AsyncIterator[Cluster]:
    """Of the bare interpreter: workers start sooner."""
    with Cluster(None) as opened:
        await opened.ready()
        yield opened


@pytest.fixture
def evalctl(registry: Registry, cluster: Cluster) -> Command:
    return Command(registry, cluster.state, EVAL_PORT=str(cluster.api.port), EVAL_TOKEN_AUTH=cluster.token)


@pytest.fixture
def alone(registry: Registry, tmp_path: Path) -> Command:
    """With a state folder of its own, and no server."""
    return Command(registry, tmp_path / "state")


async def test_an_image_is_pulled_and_served_by_running_workers(
    registry: Registry, cluster: Cluster, evalctl: Command
) -> None:
    done = await evalctl.aside("image", f"{registry.host}/team/tools:1")
    assert done.returncode == 0, said(done)
    assert "every worker serves it (" in done.stdout

    answer = await cluster.eval(IMPORTS, environment="tools:1")
    assert (answer.verdict, answer.stdout, answer.body["warm"]) == ("ok", "42\n", True)
    elsewhere = await cluster.eval(IMPORTS)
    assert "ModuleNotFoundError" in elsewhere.body["stderr"]
    listed = {one["name"]: one for one in (await environments(cluster))}
    assert listed["tools:1"] | {"digests": 1, "served_by": 1} == {
        "name": "tools:1", "kind": "python", "filename": "main.py", "command": ["python3", "main.py"],
        "workers": 1, "slots": listed["default"]["slots"], "digests": 1, "served_by": 1,
    }  # fmt: skip
    assert re.fullmatch("sha256:[0-9a-f]{64}", listed["tools:1"]["digests"][0])


async def test_an_environment_that_no_worker_serves_is_refused_at_once(cluster: Cluster) -> None:
    [answer] = await cluster.evals({"code": "1", "environment": "nowhere"})

    assert (answer.code, answer.verdict) == (422, "unknown-environment")
    assert "default" in answer.body["detail"]


async def test_a_switch_under_load_loses_no_job(registry: Registry, cluster: Cluster, evalctl: Command) -> None:
    done = await evalctl.aside("image", f"{registry.host}/team/tools:1", "--name", "moving")
    assert done.returncode == 0, said(done)
    stop = asyncio.Event()

    async def load(environment: str, code: str) -> list[Any]:
        answers = []
        while not stop.is_set():
            answers.append(await cluster.eval(code, environment=environment))
            await asyncio.sleep(0.05)  # all that they can take, the command would not have
        return answers

    running = [asyncio.create_task(load("moving", IMPORTS)), asyncio.create_task(load("default", "print(1)"))]
    done = await evalctl.aside("image", f"{registry.host}/team/tools:2", "--name", "moving")
    assert done.returncode == 0, said(done)
    after = await cluster.eval(IMPORTS, environment="moving")
    stop.set()
    moving, default = await asyncio.gather(*running)

    assert after.stdout == "43\n"
    values = [answer.stdout for answer in moving]
    assert {"42\n"} <= set(values) <= {"42\n", "43\n"}
    assert values == sorted(values), "it does not go back and forth"
    assert {(answer.verdict, answer.stdout) for answer in default} == {("ok", "1\n")}


async def test_an_image_brings_its_variables_and_its_working_directory(
    registry: Registry, cluster: Cluster, evalctl: Command
) -> None:
    done = await evalctl.aside("image", f"{registry.host}/team/tools:2")
    assert done.returncode == 0, said(done)
    assert "1 special files left out" in done.stdout

    code = """
import os, stat
print(os.getcwd(), os.environ["FROM_IMAGE"], open("shown.txt").read(), end="")
open("mine.txt", "w").write("x")
print(sorted(os.listdir("/app")), os.path.getsize("/hole"), os.path.lexists("/fifo"))
print(oct(os.stat("/usr/bin/root-shell").st_mode))
"""
    answer = await cluster.eval(code, environment="tools:2")
    own = await cluster.eval("print(open('shown.txt').read())", environment="tools:2", files={"shown.txt": "mine"})

    found = "['main.py', 'mine.txt', 'shown.txt'] 0 False\n0o100755"
    assert (answer.stdout, answer.body["stderr"]) == (f"/app yes of the image\n{found}\n", "")
    assert own.stdout == "mine\n"


async def test_what_is_in_use_stays_and_there_is_a_way_back(
    registry: Registry, cluster: Cluster, evalctl: Command
) -> None:
    added = await evalctl.aside("image", f"{registry.host}/team/tools:1", "--name", "back")
    assert added.returncode == 0, said(added)
    refused = await evalctl.aside("image", "rm", "back")
    assert (refused.returncode, "is in use by" in refused.stderr) == (1, True), said(refused)

    used = await evalctl.aside("image", "use", "host", "--name", "back")
    assert used.returncode == 0, said(used)
    code, answer = "import os; print(os.path.exists('/etc/only-in-the-image'))", None
    for _ in range(100):
        answer = await cluster.eval(code, environment="back")
        if answer.stdout == "False\n":
            break
        await asyncio.sleep(0.1)
    assert answer is not None
    assert (answer.verdict, answer.stdout) == ("ok", "False\n")


async def test_an_image_is_removed_when_the_last_program_in_it_has_ended(
    cluster: Cluster, evalctl: Command, tmp_path: Path
) -> None:
    added = await evalctl.aside("image", "--from-dir", small_root(tmp_path / "root", "bash", "sleep"), "--name", "goes")
    assert added.returncode == 0, said(added)
    running = asyncio.create_task(cluster.eval("sleep 3; sleep 0 && echo found", environment="goes"))
    await asyncio.sleep(0.5)
    removed = await evalctl.aside("image", "rm", "goes", "--force")
    ended, late = await running, await cluster.eval("echo", environment="goes")

    assert (removed.returncode, "removed" in removed.stdout) == (0, True), said(removed)
    assert (ended.verdict, ended.stdout) == ("ok", "found\n")
    assert (late.code, late.verdict) == (422, "unknown-environment")


async def test_the_lines_of_the_documentation_work(evalctl: Command) -> None:
    text = (ROOT / "docs" / "environments.md").read_text()
    part = text.partition("## Bring your own image")[2].partition("\n## ")[0]
    lines = [line for block in re.findall(r"```sh\n(.*?)```", part, re.DOTALL) for line in block.splitlines()]
    assert len(lines) >= 4
    for line in lines:
        words = line.replace(".evalpool/venv/bin/evalctl", f"{sys.executable} -m evalctl")
        done = await asyncio.to_thread(
            subprocess.run, words, shell=True, env=evalctl._variables, capture_output=True, text=True, cwd=ROOT
        )
        assert done.returncode == 0, f"{line}\n{said(done)}"


async def environments(cluster: Cluster) -> list[dict[str, Any]]:
    async with cluster.client() as http:
        return (await http.get("/v1/environments")).json()["environments"]


# What goes wrong, each in one sentence, and nothing is changed by it.


def hostile(*members: Any) -> Callable[[Path], Path]:
    return lambda folder: images.make_layout(folder, images.tar_of(*members))


SHELL = (("bin/", None, images.as_folder), ("bin/sh", b"", lambda member: setattr(member, "mode", 0o755)))
WRONG = {
    "no interpreter": (hostile(("etc/", None, images.as_folder)), (), "has none of python3, python, node"),
    "not the one": (hostile(*SHELL), ("--command", "python3 main.py"), "has no python3 to run programs with"),
    "not the file": (hostile(*SHELL), ("--command", "sh x.sh"), "does not name the file main.py"),
    "does not start": (hostile(*SHELL), (), "no program runs in it"),
    "architecture": (
        lambda folder: images.make_layout(folder, images.tar_of(*SHELL), architecture="s390x"),
        (),
        f"is made for linux/s390x; this machine is linux/{images.ARCHITECTURE}",
    ),
    "escape": (
        hostile(*SHELL, ("../../escaped", b"x", lambda _: None)),
        (),
        "is refused: a layer names paths outside of the image (../../escaped)",
    ),
    "escape by a link": (
        hostile(*SHELL, ("x", None, images.link_to("../../../etc/passwd"))),
        (),
        "is refused: a layer names paths outside of the image (../../../etc/passwd)",
    ),
    "preload": (None, ("--preload", "no_such_module"), "preloading no_such_module: ModuleNotFoundError"),
}


@pytest.mark.parametrize("case", WRONG)
def test_an_image_that_cannot_serve_is_refused_by_name(
    case: str, alone: Command, registry: Registry, tmp_path: Path
) -> None:
    make, options, words = WRONG[case]
    layout = make(tmp_path / "layout") if make else registry.folder / "one"
    done = alone("image", "--from-dir", layout, *options)

    assert (done.returncode, words in done.stderr) == (1, True), said(done)
    assert not (alone.state / "environments.toml").exists()
    assert [path.name for path in (alone.state / "images").iterdir()] == []
    assert not list(tmp_path.glob("**/escaped"))


def test_a_reference_that_leads_nowhere_is_told(alone: Command, registry: Registry) -> None:
    for reference, words in {
        f"{registry.host}/team/nothing:1": "there is no image",
        f"{registry.host}/team/tools:9": "there is no image",
        "127.0.0.1:1/team/tools": "cannot be reached: connection refused",
        "Not A Reference": "is not a reference to an image",
    }.items():
        done = alone("image", reference)
        assert (done.returncode, words in done.stderr) == (1, True), said(done)


@pytest.mark.parametrize("missing", ["skopeo", "umoci"])
def test_a_missing_tool_is_told_with_the_line_that_installs_it(
    missing: str, alone: Command, registry: Registry, tmp_path: Path
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    present = {"skopeo": registry.skopeo, "umoci": registry.umoci}
    for name in present.keys() - {missing}:
        (tools / name).symlink_to(present[name])
    done = alone("image", f"{registry.host}/team/tools:1", PATH=str(tools))

    assert done.returncode == 1
    assert f"{missing} is missing" in done.stderr
    assert "apt-get install skopeo umoci" in done.stderr


def test_a_full_disk_is_told(alone: Command, registry: Registry) -> None:
    alone.state.mkdir()
    script = f'mount -t tmpfs -o size=8m none {alone.state} && exec "$@"'
    done = alone(
        "image", f"{registry.host}/team/tools:1", before=("unshare", "-rm", "sh", "-c", script, "sh")
    )

    assert (done.returncode, "the disk is full" in done.stderr) == (1, True), said(done)


def test_an_image_comes_from_a_tar_and_with_layers_of_zstd(
    alone: Command, registry: Registry, tmp_path: Path
) -> None:
    zstd = shutil.which("zstd") is not None
    layout = images.make_layout(tmp_path / "layout", images.packed(registry.folder / "root"), zstd=zstd)
    archive = tmp_path / "saved.tar"
    command = [registry.skopeo, "--insecure-policy", "copy", "-q", f"oci:{layout}:latest", f"oci-archive:{archive}"]
    subprocess.run(command, check=True)
    done = alone("image", "--from-tar", archive)
    assert (done.returncode, "environment saved: python3 main.py in /work" in done.stdout) == (0, True), said(done)
    assert "pressing its layers anew" in done.stderr or not zstd

    with tarfile.open(tmp_path / "no.tar", "w"):
        pass
    refused = alone("image", "--from-tar", tmp_path / "no.tar")
    assert "is no image: it has neither manifest.json" in refused.stderr


def test_an_image_is_listed_verified_and_removed(alone: Command) -> None:
    done = alone("image", "python:3")
    assert done.returncode == 0, said(done)
    again = alone("image", "python:3")
    listed = alone("image", "list")
    fine = alone("image", "verify")
    [package] = (alone.state / "images").glob(f"*/rootfs/usr/local/lib/*/site-packages/{images.PACKAGE}.py")
    package.write_text("VALUE = 7\n")
    broken = alone("image", "verify", "python:3")
    removed = alone("image", "rm", "python:3", "--force")

    assert "pulling" not in again.stderr, "it is here already"
    assert (listed.returncode, "(python:3)" in listed.stdout) == (0, True), said(listed)
    assert (fine.returncode, "programs run in python:3" in fine.stdout) == (0, True), said(fine)
    assert (broken.returncode, "is not what was unpacked any more" in broken.stderr) == (1, True)
    assert removed.returncode == 0, said(removed)
    assert [path.name for path in (alone.state / "images").iterdir()] == []


@pytest.mark.skipif(not is_root, reason="this is the ordinary user")
def test_an_ordinary_user_pulls_and_serves_an_image() -> None:
    registry_tools = Registry(Path("/nonexistent"), Settings.from_env().state_dir)
    environ = os.environ | {"PATH": f"{registry_tools.path}:{os.environ['PATH']}"}
    command = [sys.executable, ROOT / "tests" / "as_user.py", "-q", "-k", AS_ORDINARY, __file__]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
