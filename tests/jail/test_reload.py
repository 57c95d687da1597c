"""A reload of the environments: what cannot be served now leaves everything as it is, and is tried again."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from cluster import until

from sandbox import Environment, NotSupported, RunSpec, SandboxConfig, SandboxUnavailable, Tier
from sandbox.environments_file import load
from worker import environments
from worker.environments import Environments

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.jail
BARE = (Tier(name="bare", preload=()),)
LEAVES_NOTHING = '[x]\nfilename = "main.c"\ncompile = "true main.c"\nbinary = "main"\ncommand = "./main"\n'


class Rig:
    """A worker's environments, which follow a file; `told` is whose jobs it takes."""

    def __init__(self, folder: Path, packages: Path) -> None:
        self.file, self.run_dir = folder / "environments.toml", folder / "run"
        self.default = Environment(packages=packages, tiers=BARE)
        self.fails: Exception | None = None
        self.reads = 0
        self.told: set[str] = set()
        self.served = Environments(self._read, SandboxConfig(run_dir=self.run_dir, slots=2, warm=1))

    def _read(self) -> dict[str, Environment]:
        self.reads += 1
        if self.fails:
            raise self.fails
        return load(self.file, self.file.parent / "images", self.default)

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        async with self.served:
            task = asyncio.create_task(
                self.served.follow([self.file], asyncio.Event(), lambda names: setattr(self, "told", set(names)))
            )
            yield
            assert not task.done(), "it would have taken the worker with it"
            task.cancel()

    async def runs(self, name: str) -> bool:
        """Whether programs run there."""
        return (await self.served.serving[name].run(RunSpec(code="print(1)"))).stdout == b"1\n"


@pytest.fixture
def rig(environment_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    monkeypatch.setattr(environments, "_LOOK_S", 0.02)
    monkeypatch.setattr(environments, "_AGAIN_S", 0.05)
    return Rig(tmp_path, environment_root)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('[x]\nwarm = ["bash"]\n', "environments.toml:2: [x] warm: must be"),
        (LEAVES_NOTHING, "environment x: `true main.c`"),
    ],
)
async def test_what_cannot_be_served_leaves_everything_as_it_is(rig: Rig, text: str, why: str) -> None:
    """Other errors than those that were thought of ended the worker, and the programs in it."""
    async with rig.following():
        rig.file.write_text(text)
        await until(lambda: why in rig.served.complaint, "the reason is told")
        assert rig.served.about().keys() == {"default"}
        assert await rig.runs("default")

        rig.file.write_text('[y]\nenv = { A = "1" }\n')
        await until(lambda: rig.told == {"default", "y"}, "what can be served is served")
        assert rig.served.complaint == ""


@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), PermissionError(13, "no"), MemoryError()])
async def test_whatever_goes_wrong_in_the_reading_is_told_once_and_tried_again(
    rig: Rig, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async with rig.following():
        rig.fails = error
        rig.file.write_text('[x]\nenv = { A = "1" }\n')
        await until(lambda: rig.reads >= 4, "it is tried again")
        assert "the environments cannot be read: " in rig.served.complaint
        assert await rig.runs("default")
        assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 1

        rig.fails = None
        await until(lambda: rig.told == {"default", "x"}, "it is served when the reason has passed")
        assert rig.served.complaint == ""


async def test_an_environment_that_could_not_be_booted_is_tried_again(rig: Rig) -> None:
    """Nobody sees when the reason has passed; the file stays as it is."""
    async with rig.following():
        aside = rig.run_dir.rename(rig.run_dir.with_name("aside"))
        rig.run_dir.touch()  # no sandbox can be made there now
        rig.file.write_text('[default]\nenv = { A = "1" }\n[x]\nenv = { A = "1" }\n')
        await until(lambda: rig.reads >= 4, "it is tried again")
        assert "environment default: " in rig.served.complaint
        assert "environment x: " in rig.served.complaint
        assert rig.served.serving.keys() == {"default"}

        rig.run_dir.unlink()
        aside.rename(rig.run_dir)
        await until(lambda: not rig.served.complaint, "all is as the file says")
        assert await rig.runs("default")
        assert await rig.runs("x")
        assert rig.served.serving["default"].environment.variables == {"A": "1"}


async def test_an_environment_that_can_do_nothing_is_told_by_name_at_the_start(rig: Rig) -> None:
    """What its first program met was an error that `python -m worker` had no words for."""
    rig.file.write_text(LEAVES_NOTHING)
    with pytest.raises(SandboxUnavailable, match=r"environment x: `true main\.c` left no file main") as caught:
        await rig.served.__aenter__()

    assert isinstance(caught.value.__cause__, NotSupported)
