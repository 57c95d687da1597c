"""The Dockerfiles build what the processes need: their commands run here, in a folder, and what they made serves."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Self

import as_user
import dockerfile
import pytest
from cluster import Cluster, Service, free_port
from contained import FIRST, NOBODY
from dockerfile import HOME, Instruction, Stage, parse
from validators import DEPLOY

from api.settings import ApiSettings
from evalctl import bootstrap, tether
from evalctl.settings import Settings
from sandbox import bare_environment
from sandbox.environments_file import load
from worker.settings import WorkerSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

API, WORKER = parse(DEPLOY / "api.Dockerfile"), parse(DEPLOY / "worker.Dockerfile")
CHECKOUT = DEPLOY.parent
SETGID_SETUID = 1 << 6 | 1 << 7


def stage(stages: list[Stage], name: str) -> Stage:
    [found] = [one for one in stages if one.name == name]
    return found


@pytest.fixture(scope="module")
def built(environment_root: Path) -> Iterator[Path]:
    """The folder of the worker's image. Kept between runs, as Docker keeps layers: an installation is done once.

    The environment is the one that `make setup` made by the same function.
    """
    state = Settings.from_env().state_dir
    home = state / "cache" / "image"
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        shutil.rmtree(home / "src", ignore_errors=True)
        (home / "src").mkdir()
        dockerfile.context(CHECKOUT, home / "src")
        shutil.rmtree(home / "environments", ignore_errors=True)
        (home / "environments").mkdir()
        bootstrap.environment_root(home).symlink_to(environment_root)
        dockerfile.run(stage(WORKER, "build"), home)
        yield home


def test_both_images_are_built_alike() -> None:
    """So what is tried of the worker's holds for the API's, which lacks the environment."""
    api, worker = (stage(stages, "build") for stages in (API, WORKER))

    assert [api.base, *api.texts("COPY")] == [worker.base, *worker.texts("COPY")]
    assert worker.texts("RUN")[0].startswith(f"{api.texts('RUN')[0]} --environment && ")
    assert api.texts("RUN")[1:] == worker.texts("RUN")[1:]


class Images(Cluster):
    """A cluster whose processes are started as containers of our images would be."""

    def __enter__(self) -> Self:
        self.start_valkey()
        # Others than root come in.
        self.state.chmod(0o755)
        Path(self.redis_url.removeprefix("unix://")).chmod(0o777)
        return self

    def run(self, name: str, image: Stage, home: Path, port: int = 0, **told: object) -> None:
        """Start an image with the word that comes behind its name, as the pod of that name would."""
        own = self.state / name
        own.mkdir()
        env = dockerfile.environment(image, home)
        env |= {key: str(value) for key, value in (self._settings | told).items() if value is not None}
        env |= {"EVAL_STATE_DIR": str(own), "HOME": "/tmp"}
        [entry] = json.loads(image.texts("ENTRYPOINT")[0])
        command = [shutil.which(entry, path=env["PATH"]) or entry, name]
        if os.geteuid() == 0:
            command = contained(name, [own, home, *as_user.needed_by(home / "environment", own)], command)
        log = self.state / f"{name}.log"
        with log.open("wb") as sink:
            process = subprocess.Popen(tether.tethered(command), cwd=own, env=env, stdout=sink, stderr=sink)
        self.services.append(Service(name, process, log, port))


def privileges(service: Service) -> tuple[int, int]:
    """Uid, as this machine sees it, and the capabilities that it may ever have."""
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{service.pid}/status").read_text().splitlines())
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    return int(status["Uid"].split()[0]), int(status["CapBnd"], 16)


def contained(name: str, needed: list[Path], command: list[str]) -> list[str]:
    """With the privileges of the manifests, and no more."""
    kind, paths = "worker" if name == "worker" else "nobody", ":".join(map(str, needed))
    return [sys.executable, str(Path(__file__).with_name("contained.py")), kind, paths, *command]


@pytest.mark.jail
@pytest.mark.timeout(300)
async def test_what_is_built_serves(built: Path) -> None:
    """Api, worker and coordinator by the images' own words and variables, with the privileges of their manifests."""
    api, worker = API[-1], stage(WORKER, "worker")
    listens, tells = free_port(), free_port()
    with Images(None) as pool:
        pool.run("worker", worker, built, tells, EVAL_METRICS_HOST="127.0.0.1", EVAL_METRICS_PORT=tells)
        pool.run("api", api, built, listens, EVAL_HOST="127.0.0.1", EVAL_PORT=listens)
        pool.run("coordinator", api, built)
        await pool.ready()
        one = await pool.eval("import numpy; print(numpy.arange(3).sum())")
        batch = [{"custom_id": "a", "code": "print(1)"}]
        async with pool.client() as http:
            accepted = await http.post("/v1/batches", json={"items": batch})
            lines = (await http.get(f"/v1/batches/{accepted.json()['id']}/results")).text

        if os.geteuid() == 0:
            assert {service.name: privileges(service) for service in pool.services[1:]} == {
                "worker": (FIRST, SETGID_SETUID),
                "api": (NOBODY, 0),
                "coordinator": (NOBODY, 0),
            }
        assert (one.verdict, one.stdout) == ("ok", "3\n")
        assert json.loads(lines)["result"]["stdout"] == "1\n"
        assert [json.loads(image.texts("CMD")[0]) for image in (api, worker)] == [["api"], ["worker"]]


def test_what_is_built_is_of_what_was_copied(built: Path) -> None:
    program = "import api, jobs, worker, sandbox, evalctl as e; print(api.__file__, e.__file__)"
    told = subprocess.check_output([built / "venv/bin/python", "-P", "-c", program], env={}, text=True, cwd="/")

    assert all(path.startswith(str(built / "src")) for path in told.split())


def test_an_image_for_programs_becomes_the_default_environments_root(tmp_path: Path) -> None:
    """What `EVAL_IMAGE` does: one more stage, which the last line chooses."""
    image = stage(WORKER, "worker-of-image")
    (tmp_path / "src").mkdir()
    (tmp_path / "root/usr").mkdir(parents=True)
    dockerfile.run(image, tmp_path)
    file = stage(WORKER, "worker").variables()["EVAL_ENVIRONMENTS_FILE"].replace(HOME, str(tmp_path))
    found = load(Path(file), tmp_path, bare_environment())

    assert image.texts("COPY") == [f"--from=environment / {HOME}/root"]
    assert stage(WORKER, "environment").base == "${EVAL_IMAGE:-scratch}"
    assert WORKER[-1].base == "worker${EVAL_IMAGE:+-of-image}"
    assert found["default"].image == tmp_path / "root"


def test_variables_of_images_are_settings() -> None:
    known = {f"EVAL_{name.upper()}" for one in (ApiSettings, WorkerSettings) for name in one.model_fields}
    told = {key for one in [*API, *WORKER] for key in one.variables() if key.startswith("EVAL_")}

    assert told
    assert told <= known


def test_the_api_runs_as_nobody_in_particular() -> None:
    [user] = API[-1].texts("USER")

    assert user.split(":")[0].isdigit()
    assert int(user.split(":")[0]) >= 10_000


def test_the_builds_context_holds_no_secret_and_no_state(tmp_path: Path) -> None:
    dockerfile.context(CHECKOUT, tmp_path)

    assert {path.name for path in tmp_path.iterdir()} == {
        "LICENSE", "README.md", "api", "evalctl", "jobs", "pyproject.toml", "requirements.lock", "sandbox", "worker",
    }  # fmt: skip


@pytest.mark.parametrize("slip", ["FORM python:3.13", "copy . /src", "RUNN true"])
def test_a_typo_in_a_dockerfile_is_caught(tmp_path: Path, slip: str) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM python:3.13\n{slip}\n")

    with pytest.raises(ValueError, match="no instruction"):
        parse(tmp_path / "Dockerfile")


@pytest.mark.parametrize(
    ("right", "wrong"), [("evalctl.bootstrap", "evalctl.bootstarp"), ("compileall -q", "compileall -qz")]
)
def test_a_typo_in_a_command_is_caught(built: Path, right: str, wrong: str) -> None:
    build = stage(WORKER, "build")
    slipped = [Instruction(one.word, one.text.replace(right, wrong)) for one in build.instructions]
    assert slipped != list(build.instructions)

    with pytest.raises(subprocess.CalledProcessError):
        dockerfile.run(Stage(build.base, build.name, tuple(slipped)), built)
