"""An environment that can run nothing here takes no jobs: another worker may be able to."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import pytest
from cluster import until

from sandbox import Environment, RunSpec, SandboxConfig, Tier
from sandbox.host import pool
from worker import environments
from worker.environments import Environments

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.jail
BARE = (Tier(name="bare", preload=()),)


async def test_an_environment_that_is_down_takes_no_jobs_until_it_is_up_again(
    environment_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_DOWN_S", 0.1)
    monkeypatch.setattr(environments, "_LOOK_S", 0.02)
    wanted = {name: Environment(name=name, packages=environment_root, tiers=BARE) for name in ("default", "other")}
    heard: list[set[str]] = []
    async with Environments(lambda: wanted, SandboxConfig(run_dir=tmp_path, slots=2, warm=1)) as served:
        following = asyncio.create_task(served.follow([], asyncio.Event(), lambda names: heard.append(set(names))))
        run_dir = served.serving["other"].config.run_dir
        aside = run_dir.rename(tmp_path / "aside")
        run_dir.touch()  # no zygote can be made there now
        jail = served.serving["other"].pools["bare"]._jail
        assert jail is not None
        os.kill(jail.pid, signal.SIGKILL)
        await until(lambda: heard == [{"default"}], "its jobs are left to others")
        assert served.complaint == "cannot run programs of: other"
        assert set(served.about()) == {"default", "other"}, "callers may still ask for it"

        run_dir.unlink()
        aside.rename(run_dir)
        await until(lambda: heard == [{"default"}, {"default", "other"}], "it takes its jobs again")
        assert served.complaint == ""
        assert (await served.serving["other"].run(RunSpec(code="print(1)"))).stdout == b"1\n"
        following.cancel()
