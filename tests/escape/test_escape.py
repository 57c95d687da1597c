"""Hostile programs against the wall. A case is a folder: `program.py`, `expect.toml`, perhaps `after.py`.

A program says `managed: X` for whatever it should not have managed, so that no case has to list it. `after.py`, if
there, runs next, in the same slots, and looks for what the first one left. After each case a neighbour must run.

expect.toml: `promise`; `status` (an `Ending` or a list of them; default ok), `exit_code`, `signal`,
`stdout_contains`, `stdout_not_contains`, `files` (names brought back), `figures` and `display` (how many), `within_s`
(the run takes no longer), `machine` (only on such), `modes` (only in such: root, ordinary), tables `spec`, `limits` (as
`RunSpec` and `Limits`), `after` (`stdout`: all it prints; or `differ`: each time another thing).
"""

from __future__ import annotations

import os
import platform
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import images
import pytest
import pytest_asyncio
from sandbox import Kind, Limits, RunReport, RunSpec, ending_of
from sandbox.host.cgroup import find_hierarchy
from walls import COUNTS, MODE, bare_sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sandbox import Sandbox

HERE = Path(__file__).parent
CASES = sorted(path.parent for path in HERE.glob("*/expect.toml"))
KEYS = {
    "promise", "status", "exit_code", "signal", "stdout_contains", "stdout_not_contains", "files", "figures", "display",
    "within_s", "machine", "modes", "spec", "limits", "after",
}  # fmt: skip
FOR_PYTHON = {"interpreter_mode", "figures", "display"}
EXEC = ["exec"] if MODE == "root" else []
"""An ordinary user's suite takes as long as it may already."""
SLOTS = 2
IN_IMAGES = ["image", *(f"image-{kind}" for kind in EXEC)]
EVERYWHERE = bool(os.environ.get("ESCAPE_EVERYWHERE"))
OF_IMAGES = {
    "descriptors_inherited", "device_change", "device_minimal", "device_mknod", "exhaust_heap", "exhaust_processes",
    "exhaust_tmpfs", "files_etc", "files_mount_points", "files_own_only", "files_read_only", "identity_change",
    "leftover_files", "mount_old_calls", "namespace_unshare", "network_outside", "output_links", "proc_whole_machine",
    "root_dotdot", "seccomp_by_number", "setuid_binary", "sysfs_absent",
}  # fmt: skip
"""What depends on the root and its mounts."""

pytestmark = pytest.mark.jail


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every case everywhere, but in images only those that images could change, unless all are asked for."""
    if "case" in metafunc.fixturenames:
        pairs = [(kind, case) for kind in (*COUNTS, *EXEC) for case in CASES]
        pairs += [(kind, case) for kind in IN_IMAGES for case in CASES if EVERYWHERE or case.name in OF_IMAGES]
        ids = [f"{kind}-{case.name}" for kind, case in pairs]
        metafunc.parametrize(("sandbox", "case"), pairs, ids=ids, indirect=["sandbox"], scope="session")


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def sandbox(
    request: pytest.FixtureRequest, environment_root: Path, tmp_path_factory: pytest.TempPathFactory, image: Path
) -> AsyncIterator[Sandbox]:
    """Few slots, so that what runs next comes into the same ones. `exec`: an interpreter that the cell executes."""
    folder = tmp_path_factory.mktemp("escape")
    executes = request.param in ("exec", "image-exec")
    counts = request.param if request.param in COUNTS else "cgroups" if find_hierarchy() else "rlimits"
    async with bare_sandbox(
        environment_root,
        folder,
        counts=counts,
        slots=SLOTS,
        kind=Kind.EXEC if executes else Kind.PYTHON,
        image=image if request.param in IN_IMAGES else None,
    ) as opened:
        yield opened


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of an image, with the interpreter that runs the tests."""
    folder = tmp_path_factory.mktemp("image")
    folder.chmod(0o755)
    return images.make_root(folder / "root")


def spec_of(case: Path, name: str, expected: dict[str, Any]) -> RunSpec:
    limits = Limits(**{"wall_s": 5.0, "memory_bytes": 96 << 20, **expected.get("limits", {})})
    extra = {key: tuple(value) if isinstance(value, list) else value for key, value in expected.get("spec", {}).items()}
    if isinstance(extra.get("stdin"), str):
        extra["stdin"] = extra["stdin"].encode()
    files = {"attack.py": (HERE / "attack.py").read_bytes()}
    return RunSpec(code=(case / name).read_text(), files=files, limits=limits, **extra)


def judge(report: RunReport, expected: dict[str, Any]) -> list[str]:
    """What is not as promised."""
    stdout = report.stdout.decode(errors="backslashreplace")
    statuses = expected.get("status", "ok")
    wrong = [line for line in stdout.splitlines() if line.startswith("managed:")]
    if ending_of(report) not in ([statuses] if isinstance(statuses, str) else statuses):
        wrong.append(f"ended as {ending_of(report)}, not {statuses}")
    wrong += [f"{key} is {getattr(report, key)}" for key in ("exit_code", "signal")
              if key in expected and getattr(report, key) != expected[key]]  # fmt: skip
    wrong += [f"not printed: {text}" for text in expected.get("stdout_contains", []) if text not in stdout]
    wrong += [f"printed: {text}" for text in expected.get("stdout_not_contains", []) if text in stdout]
    if "files" in expected and sorted(report.files) != sorted(expected["files"]):
        wrong.append(f"files are {sorted(report.files)}")
    wrong += [f"{key} are {getattr(report, key)}" for key in ("figures", "display")
              if len(getattr(report, key)) != expected.get(key, len(getattr(report, key)))]  # fmt: skip
    if report.usage.wall_s > expected.get("within_s", report.usage.wall_s):
        wrong.append(f"took {report.usage.wall_s:.1f} s")
    return wrong


async def test_promise_holds(case: Path, sandbox: Sandbox) -> None:
    expected = tomllib.loads((case / "expect.toml").read_text())
    assert set(expected) <= KEYS
    if expected.get("machine", platform.machine()) != platform.machine() or MODE not in expected.get("modes", [MODE]):
        pytest.skip("not for this machine or user")
    if sandbox.environment.kind is Kind.EXEC and FOR_PYTHON & expected.get("spec", {}).keys():
        pytest.skip("an environment that executes its command refuses this")

    report = await sandbox.run(spec_of(case, "program.py", expected))
    assert judge(report, expected) == [], f"{expected['promise']}\n{report}"

    if "after" in expected:
        later = [await sandbox.run(spec_of(case, "after.py", {})) for _ in range(2 * SLOTS)]
        assert {report.stderr for report in later} == {b""}
        said = {report.stdout.decode() for report in later}
        assert len(said) == len(later) if expected["after"].get("differ") else said == {expected["after"]["stdout"]}
    neighbour = await sandbox.run(RunSpec(code="print(1 + 1)"))
    assert neighbour.stdout == b"2\n"


def test_every_case_has_a_promise() -> None:
    """One sentence each: the threat model quotes them."""
    promises = [tomllib.loads((case / "expect.toml").read_text())["promise"] for case in CASES]

    assert len(set(promises)) == len(CASES) >= 120
    assert {case.name for case in CASES} == {path.parent.name for path in HERE.glob("*/program.py")}
