"""Python in an image: its own interpreter, whichever version of those on this machine, by the warm path."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import images
import pytest

sys.path.append(str(Path(__file__).parents[1] / "fidelity"))
from bare_python import Bare, run_bare
from test_fidelity import PROGRAMS, TELL_PLACES, Places, load, outcome

from sandbox import Environment, NotSupported, RunSpec, Sandbox, SandboxConfig, SandboxUnavailable, Tier
from sandbox.environment import tiers_with

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    Rooted = tuple[Path, Sandbox]

ALIKE = {
    "end_atexit_raises", "err_chained_cause", "exit_string_in_fork", "file_submitted", "in_iterate", "mod_pickle",
    "out_flush_fails", "par_asyncio_subprocess", "par_pool", "sig_term", "sys_names",
}  # fmt: skip
"""Programs of tests/fidelity, one of each kind."""
ABOUT = f"import sys, {images.PACKAGE}; print(sys.version_info[:2], {images.PACKAGE}.VALUE, sys.executable)"

pytestmark = [pytest.mark.jail, pytest.mark.asyncio(loop_scope="session")]


@pytest.fixture(params=images.pythons().items(), ids=lambda item: item[0])
async def rooted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rooted]:
    """The root of an image with this Python, and a sandbox of its bare tier."""
    folder = tmp_path_factory.mktemp("image")
    folder.chmod(0o755)
    root = images.make_root(folder / "root", request.param[1])
    environment = Environment(image=root, tiers=tiers_with(())[:1])
    async with Sandbox(environment, SandboxConfig(run_dir=folder / "run", slots=2)) as opened:
        yield root, opened


async def test_programs_run_in_the_images_own_python_as_they_would_there(rooted: Rooted, tmp_path: Path) -> None:
    root, sandbox = rooted
    report = await sandbox.run(RunSpec(code=ABOUT))
    bare = Bare(python=root / "usr/local/bin/python3", home=tmp_path)
    version = (root / "usr/local/bin/python3").readlink().name.removeprefix("python")
    assert report.stdout.decode() == f"({version.replace('.', ', ')}) 42 /usr/local/bin/python3\n", report
    assert report.warm

    jailed = Places.told((await sandbox.run(RunSpec(code=TELL_PLACES))).stdout)
    (tmp_path / "places").mkdir()
    outside = Places.told((await run_bare(RunSpec(code=TELL_PLACES), tmp_path / "places", bare)).stdout)
    for program in [program for program in PROGRAMS if program.stem in ALIKE]:
        folder = tmp_path / program.stem
        folder.mkdir()
        spec = load(program)
        expected = outcome(await run_bare(spec, folder, bare), replace(outside, workdir=str(folder)))
        assert outcome(await sandbox.run(spec), jailed) == expected, program.stem
    echoed = await sandbox.run(RunSpec(code="1 + 1\n", interpreter_mode=True))
    assert echoed.stdout == b"2\n"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("image")
    folder.chmod(0o755)
    return images.make_root(folder / "root")


async def test_a_preload_of_an_environment_that_fails_is_fatal_by_name(root: Path, tmp_path: Path) -> None:
    tier = Tier(name="extra", preload=("no_such_module",))
    sandbox = Sandbox(Environment(image=root, tiers=(tier,)), SandboxConfig(run_dir=tmp_path / "run", slots=1))
    with pytest.raises(SandboxUnavailable, match="preloading no_such_module: ModuleNotFoundError"):
        await sandbox.__aenter__()


async def test_imports_pick_the_tier_that_has_the_modules_of_the_image(root: Path, tmp_path: Path) -> None:
    environment = Environment(image=root, tiers=tiers_with([images.PACKAGE])[::2])
    config = SandboxConfig(run_dir=tmp_path / "run", slots=1)
    loaded = f"import sys; print({images.PACKAGE!r} in sys.modules)"
    async with Sandbox(environment, config) as sandbox:
        plain = await sandbox.run(RunSpec(code=loaded))
        with_it = await sandbox.run(RunSpec(code=f"{loaded}\nimport {images.PACKAGE}"))

    assert (plain.tier, plain.stdout) == ("bare", b"False\n")
    assert (with_it.tier, with_it.stdout) == ("extra", b"True\n")


async def test_another_file_name_and_options_of_the_interpreter(root: Path, tmp_path: Path) -> None:
    environment = Environment(
        image=root, filename="prog.py", command=("python3", "-O", "-Xdev", "prog.py"), tiers=tiers_with(())[:1]
    )
    code = "import sys\nassert False\nprint(sys.argv, sys.flags.optimize, sys.flags.dev_mode, __file__, sys.orig_argv)"
    async with Sandbox(environment, SandboxConfig(run_dir=tmp_path / "run", slots=1)) as sandbox:
        report = await sandbox.run(RunSpec(code=code, args=("a",)))
        with pytest.raises(NotSupported, match=r"prog\.py is the program itself"):
            await sandbox.run(RunSpec(code="", files={"prog.py": b""}))

    argv = "['python3', '-O', '-Xdev', 'prog.py', 'a']"
    assert report.stdout.decode() == f"['prog.py', 'a'] 1 True /work/prog.py {argv}\n", report


@pytest.mark.parametrize("workdir", ["/var/lib", "/var", "/usr/bin", "/new/deep"])
async def test_what_an_image_has_in_its_working_directory_is_found_there(
    workdir: str, root: Path, tmp_path: Path
) -> None:
    (root / "var/lib/kept").mkdir(parents=True, exist_ok=True)
    environment = Environment(image=root, workdir=workdir, tiers=tiers_with(())[:1])
    code = "import os; open('new', 'w').close(); print(os.getcwd(), sorted({*os.listdir()} - {'main.py', 'new'})[:1])"
    async with Sandbox(environment, SandboxConfig(run_dir=tmp_path / "run", slots=1)) as sandbox:
        report = await sandbox.run(RunSpec(code=code))

    shown = {"/var/lib": ["kept"], "/var": ["lib"], "/usr/bin": ["cat"], "/new/deep": []}
    assert report.stdout.decode() == f"{workdir} {shown[workdir]}\n", report


@pytest.mark.parametrize(
    ("workdir", "words"),
    [("/usr/nowhere", "has no folder /usr/nowhere"), ("/bin", "leads through a link"), ("/usr/bin/sh", "not a folder")],
)
async def test_a_working_directory_that_cannot_be_is_told(
    workdir: str, words: str, root: Path, tmp_path: Path
) -> None:
    sandbox = Sandbox(
        Environment(image=root, workdir=workdir, tiers=tiers_with(())[:1]), SandboxConfig(run_dir=tmp_path / "run")
    )
    with pytest.raises(SandboxUnavailable, match=words):
        await sandbox.__aenter__()


async def test_without_an_interpreter_for_the_run_command_nothing_starts(tmp_path: Path) -> None:
    (tmp_path / "empty" / "usr").mkdir(parents=True)
    sandbox = Sandbox(Environment(name="x", image=tmp_path / "empty"), SandboxConfig(run_dir=tmp_path / "run"))
    with pytest.raises(SandboxUnavailable, match="environment x: the image has no executable python3 for the run comm"):
        await sandbox.__aenter__()
