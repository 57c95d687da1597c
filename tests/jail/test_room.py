"""A caller's files that have no room, and failures of ours before a program begins, are not called the program's."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from cluster import until

from sandbox import CellLimits, Environment, JailFailed, NotSupported, RunSpec, Sandbox, SandboxConfig, Tier
from sandbox import sandbox as sandbox_module
from sandbox.presets import PRESETS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = [pytest.mark.jail, pytest.mark.asyncio(loop_scope="session")]
MIB = 1 << 20
PAGE = 4096
SMALL = CellLimits(disk_bytes=MIB, inodes=64, file_bytes=MIB - PAGE)
KINDS = {
    "python": Environment(tiers=(Tier(name="bare", preload=()),)),
    "bash, started": PRESETS["bash"],
    "bash, executed": replace(PRESETS["bash"], warm=""),
}
CODE = {"python": "print('ran')"}
FITS = {
    "bytes": {"a": bytes(MIB - PAGE)},
    "files": {str(n): b"" for n in range(59)},
    "folders": {"/".join(map(str, range(59))): b""},
}
MISFITS = {
    "one byte in all": ({"a": bytes(MIB - 2 * PAGE), "b": bytes(PAGE + 1)}, "1048576 bytes of its disk"),
    "one byte in one file": ({"a": bytes(MIB - PAGE + 1)}, "1044480 bytes that one"),
    "one file": ({str(n): b"" for n in range(60)}, "64 that its disk holds"),
    "one folder": ({"/".join(map(str, range(60))): b""}, "64 that its disk holds"),
}
FAULTY = {"a file is a folder": {"a": b"", "a/b": b""}, "a name is too long": {"a" * 300: b""}}


@pytest_asyncio.fixture(loop_scope="session", scope="module", params=KINDS)
async def small(
    request: pytest.FixtureRequest, environment_root: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Sandbox]:
    environment = replace(KINDS[request.param], name=request.param, packages=environment_root)
    config = SandboxConfig(run_dir=tmp_path_factory.mktemp("room") / "run", slots=2, cell=SMALL)
    async with Sandbox(environment, config) as opened:
        yield opened


async def run(small: Sandbox, files: dict[str, bytes]) -> bytes:
    (pool,) = small.pools.values()
    ahead = bool(small.environment.warm)
    await until(lambda: any(cell.ahead is ahead for cell in pool._warm), "a warm cell, with its command started if so")
    return (await small.run(RunSpec(code=CODE.get(small.environment.name, "echo ran"), files=files))).stdout


@pytest.mark.parametrize("files", FITS.values(), ids=FITS)
async def test_what_just_has_room_is_run(files: dict[str, bytes], small: Sandbox) -> None:
    assert await run(small, files) == b"ran\n"


@pytest.mark.parametrize(("files", "why"), MISFITS.values(), ids=MISFITS)
async def test_what_has_no_room_is_refused_with_the_limit(files: dict[str, bytes], why: str, small: Sandbox) -> None:
    with pytest.raises(NotSupported, match=why):
        await run(small, files)


@pytest.mark.parametrize("files", [files for files, _ in MISFITS.values()], ids=MISFITS)
async def test_what_has_no_room_all_the_same_is_not_the_programs_fault(
    files: dict[str, bytes], small: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image's own files are on the disk too. It was the program's exit code 1, with our traceback."""
    monkeypatch.setattr(sandbox_module, "require_room", lambda *_: None)
    with pytest.raises(JailFailed if small.environment.warm else NotSupported):
        await run(small, files)


@pytest.mark.parametrize("files", FAULTY.values(), ids=FAULTY)
async def test_what_cannot_be_placed_is_not_the_programs_fault(files: dict[str, bytes], small: Sandbox) -> None:
    with pytest.raises(JailFailed):
        await run(small, files)

    assert await run(small, {}) == b"ran\n"
