"""Hostile programs against the wall. A case is a folder: `program.py`, `expect.toml`, perhaps `after.py`.

A program says `managed: X` for whatever it should not have managed, so that no case has to list it. `after.py`, if
there, runs next, in the same slots, and looks for what the first one left. After each case a neighbour must run.

expect.toml: `promise`; `status` (an `Ending` or a list of them; default ok), `exit_code`, `signal`,
`stdout_contains`, `stdout_not_contains`, `files` (names brought back), `figures` and `display` (how many), `within_s`
(the run takes no longer), `machine` (only on such), `modes` (only in such: root, ordinary), tables `spec`, `limits` (as
`RunSpec` and `Limits`), `after` (`stdout`: all it prints; or `differ`: each time another; `most_bytes` of memory).
"""

from __future__ import annotations

import asyncio
import os
import platform
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import images
import pytest
import pytest_asyncio
from sandbox import Kind, Limits, RunReport, RunSpec, ending_of
from sandbox.host.cgroup import find_hierarchy
from sandbox.presets import PRESETS
from walls import COUNTS, MODE, bare_sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from sandbox import Sandbox

    Test = Callable[[Path, Sandbox], Awaitable[None]]

HERE = Path(__file__).parent
CASES = sorted(path.parent for path in HERE.glob("*/expect.toml"))
KEYS = {
    "promise", "status", "exit_code", "signal", "stdout_contains", "stdout_not_contains", "files", "figures", "display",
    "within_s", "machine", "modes", "spec", "limits", "after",
}  # fmt: skip
FOR_PYTHON = {"interpreter_mode", "figures", "display"}
EVERYWHERE = bool(os.environ.get("ESCAPE_EVERYWHERE"))
EXEC = ["exec"] if MODE == "root" or EVERYWHERE else []
"""An ordinary user does without them: `make test-escape`, started by one, has them too."""
SLOTS = 2
OF_WARM = {
    "capabilities_none", "channel_gone", "core_none", "descriptors_inherited", "exhaust_descriptors", "exhaust_heap",
    "exhaust_heap_children", "exhaust_processes", "files_own_only", "forged_exit_by_child", "forged_result",
    "identity_change", "leftover_process_state", "leftover_processes", "limits_of_others",
    "limits_raise", "mount_old_calls", "namespace_unshare", "output_links", "proc_init", "proc_self_limits",
    "runner_closes_streams", "runner_ignores_signals", "runner_kills_parent", "runner_stops_itself",
    "seccomp_by_number", "signal_everything", "signal_group", "signal_init",
}
"""What depends on which process a program is, and on who was in its cell before."""
BASH = "exec python3 program.py"
IN_IMAGES = ["image", *(f"image-{kind}" for kind in EXEC)]
OF_IMAGES = {
    "descriptors_inherited", "device_change", "device_minimal", "device_mknod", "device_times", "exhaust_heap",
    "exhaust_processes", "exhaust_tmpfs", "files_etc", "files_mount_points", "files_own_only", "files_read_only",
    "identity_change", "leftover_files", "mount_old_calls", "namespace_unshare", "network_outside", "output_links",
    "proc_whole_machine", "root_dotdot", "seccomp_by_number", "setuid_binary", "sysfs_absent",
}  # fmt: skip
"""What depends on the root and its mounts."""

pytestmark = pytest.mark.jail


def in_each(kinds: list[str], names: set[str] | None = None) -> Callable[[Test], Test]:
    """Parametrize a test by these kinds of sandbox and cases. Only the kinds have the session's scope: so the cases of
    a kind come together, in one sandbox, and a case finds what the ones before have left."""

    def decorate(test: Test) -> Test:
        cases = [case for case in CASES if names is None or case.name in names]
        test = pytest.mark.parametrize("sandbox", kinds, indirect=True)(test)
        return pytest.mark.parametrize("case", cases, ids=[case.name for case in cases])(test)

    return decorate


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def sandbox(
    request: pytest.FixtureRequest, environment_root: Path, tmp_path_factory: pytest.TempPathFactory, image: Path
) -> AsyncIterator[Sandbox]:
    """Few slots, so that what runs next comes into the same ones. `exec`: an interpreter that the cell executes.

    `warm`: a bash that was started before its program was there, and becomes the hostile one.
    """
    folder = tmp_path_factory.mktemp("escape")
    executes = request.param in ("exec", "image-exec")
    counts = request.param if request.param in COUNTS else "cgroups" if find_hierarchy() else "rlimits"
    async with bare_sandbox(
        environment_root,
        folder,
        counts=counts,
        slots=SLOTS,
        kind=Kind.EXEC if executes else Kind.PYTHON,
        preset=PRESETS["bash"] if request.param == "warm" else None,
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
    limits = Limits(**{"wall_s": 60.0, "memory_bytes": 96 << 20, **expected.get("limits", {})})
    extra = {key: tuple(value) if isinstance(value, list) else value for key, value in expected.get("spec", {}).items()}
    if isinstance(extra.get("stdin"), str):
        extra["stdin"] = extra["stdin"].encode()
    files = {"attack.py": (HERE / "attack.py").read_bytes()}
    return RunSpec(code=(case / name).read_text(), files=files, limits=limits, **extra)


async def run(sandbox: Sandbox, spec: RunSpec) -> RunReport:
    """Run a program of Python, whatever the sandbox's programs are."""
    if not sandbox.environment.warm:
        return await sandbox.run(spec)
    while not any(cell.ahead for cell in sandbox.pools["exec"]._warm):  # noqa: ASYNC110
        await asyncio.sleep(0.002)
    return await sandbox.run(replace(spec, code=BASH, files={**spec.files, "program.py": spec.code.encode()}))


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


async def hold(case: Path, sandbox: Sandbox) -> None:
    """Run the case, look for what it left, and run a neighbour."""
    expected = tomllib.loads((case / "expect.toml").read_text())
    assert set(expected) <= KEYS
    if expected.get("machine", platform.machine()) != platform.machine() or MODE not in expected.get("modes", [MODE]):
        pytest.skip("not for this machine or user")
    if sandbox.environment.kind is Kind.EXEC and FOR_PYTHON & expected.get("spec", {}).keys():
        pytest.skip("an environment that executes its command refuses this")

    report = await run(sandbox, spec_of(case, "program.py", expected))
    assert judge(report, expected) == [], f"{expected['promise']}\n{report}"

    if "after" in expected:
        later = [await run(sandbox, spec_of(case, "after.py", {})) for _ in range(2 * SLOTS)]
        assert {report.stderr for report in later} == {b""}
        assert max(report.usage.memory_bytes for report in later) <= expected["after"].get("most_bytes", 1 << 30)
        said = {report.stdout.decode() for report in later}
        assert len(said) == len(later) if expected["after"].get("differ") else said == {expected["after"]["stdout"]}
    neighbour = await run(sandbox, RunSpec(code="print(1 + 1)"))
    assert neighbour.stdout == b"2\n"


@in_each([*COUNTS, *EXEC])
async def test_promise_holds(case: Path, sandbox: Sandbox) -> None:
    await hold(case, sandbox)


@in_each(["warm"], OF_WARM)
async def test_promise_holds_of_a_warm_command(case: Path, sandbox: Sandbox) -> None:
    await hold(case, sandbox)


@in_each(IN_IMAGES, None if EVERYWHERE else OF_IMAGES)
async def test_promise_holds_in_an_image(case: Path, sandbox: Sandbox) -> None:
    await hold(case, sandbox)


def test_every_case_has_a_promise() -> None:
    """One sentence each: the threat model quotes them."""
    promises = [tomllib.loads((case / "expect.toml").read_text())["promise"] for case in CASES]

    assert len(set(promises)) == len(CASES) >= 120
    assert {case.name for case in CASES} == {path.parent.name for path in HERE.glob("*/program.py")}
