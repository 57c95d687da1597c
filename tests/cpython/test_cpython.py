"""CPython's own regression tests behind the wall: each comes to the same as outside, save what `modules.toml` lists."""

from __future__ import annotations

import asyncio
import fnmatch
import json
import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from fidelity.bare_python import Bare, start_bare

from evalctl import debs
from evalctl.settings import Settings
from sandbox import Limits, RunSpec, Sandbox, SandboxConfig, default_environment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HERE = Path(__file__).parent
LISTED = tomllib.loads((HERE / "modules.toml").read_text())
MODULES: list[str] = LISTED["modules"].split()
AT_LEAST_MODULES, AT_LEAST_TESTS = 60, 3000
AT_ONCE = 3
LIMITS = Limits(wall_s=60.0, memory_bytes=512 << 20, output_bytes=4 << 20)
HAS_TESTS = """
import importlib.util, sys
print(*sys.version_info[:2], bool(importlib.util.find_spec("test.test_grammar")), sep=".")
"""

pytestmark = [pytest.mark.jail, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def bare(environment_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Bare:
    return Bare(python=environment_root / "bin/python3", home=tmp_path_factory.mktemp("home"))


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def box(environment_root: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sandbox]:
    environment = default_environment(environment_root)
    config = SandboxConfig(run_dir=tmp_path_factory.mktemp("cpython") / "run", slots=AT_ONCE)
    async with Sandbox(environment, config) as opened:
        yield opened


def package_of_tests(bare: Bare) -> Path | None:
    """Folder with the package `test`, for an interpreter that comes without it (Debian's); None: it has its own."""
    major, minor, has = subprocess.check_output([bare.python, "-c", HAS_TESTS], text=True).strip().split(".")
    if has == "True":
        return None
    root = debs.unpacked(Settings.from_env().state_dir, f"libpython{major}.{minor}-testsuite")
    return root / f"usr/lib/python{major}.{minor}/test"


def spec_of(module: str, package: Path | None) -> RunSpec:
    code = (HERE / "run_module.py").read_text()
    files = {} if package is None else _helpers(package) | _own(package, module)
    return RunSpec(code=code, args=(module,), files=files, outputs=("outcomes.json",), limits=LIMITS)


@cache
def _helpers(package: Path) -> dict[str, bytes]:
    """What test modules import of each other and of `test.support`."""
    paths = [path for path in package.glob("*.py") if not path.name.startswith("test_")]
    paths += package.glob("support/**/*.py")
    return {f"test/{path.relative_to(package)}": path.read_bytes() for path in paths}


def _own(package: Path, module: str) -> dict[str, bytes]:
    top = module.partition(".")[0]
    paths = [package / f"{top}.py", *(package / top).rglob("*")]
    return {f"test/{path.relative_to(package)}": path.read_bytes() for path in paths if path.is_file()}


async def outside(spec: RunSpec, bare: Bare, folder: Path) -> dict[str, str]:
    process = await start_bare(spec, folder, bare)
    await asyncio.wait_for(process.communicate(b""), LIMITS.wall_s)
    found: dict[str, str] = json.loads((folder / "outcomes.json").read_text())
    return found


def differences(inside: dict[str, str], found_outside: dict[str, str]) -> dict[str, tuple[str | None, str | None]]:
    """Tests that come to something else inside, by their reports. What root skips outside may pass inside."""
    return {
        name: (inside.get(name), found_outside.get(name))
        for name in inside.keys() | found_outside.keys()
        if _kind(inside.get(name)) != _kind(found_outside.get(name))
        and (_kind(inside.get(name)), _kind(found_outside.get(name))) != ("ok", "skipped")
        and not any(fnmatch.fnmatchcase(name, pattern) for pattern in LISTED["differences"])
    }


def _kind(outcome: str | None) -> str | None:
    return outcome and outcome.partition(":")[0]


async def test_every_listed_module_comes_to_the_same_inside(box: Sandbox, bare: Bare, tmp_path: Path) -> None:
    package, room = package_of_tests(bare), asyncio.Semaphore(AT_ONCE)

    async def compare(module: str) -> tuple[int, object]:
        spec = spec_of(module, package)
        (tmp_path / module).mkdir()
        async with room:
            report = await box.run(spec)
            if "outcomes.json" not in report.files:
                return 0, report
            inside = json.loads(report.files["outcomes.json"])
            return len(inside), differences(inside, await outside(spec, bare, tmp_path / module))

    compared = dict(zip(MODULES, await asyncio.gather(*map(compare, MODULES)), strict=True))

    assert {module: wrong for module, (_, wrong) in compared.items() if wrong} == {}
    assert sum(count for count, _ in compared.values()) >= AT_LEAST_TESTS


def test_the_list_is_long_and_has_no_twins() -> None:
    assert len(MODULES) == len(set(MODULES)) >= AT_LEAST_MODULES
