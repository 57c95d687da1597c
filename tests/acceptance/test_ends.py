"""What is left behind: nothing, whether processes were asked to leave or killed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from cluster import Cluster, cgroups_of, until
from processes import descendants, runs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [pytest.mark.jail, pytest.mark.timeout(180)]


@pytest_asyncio.fixture(scope="module")
async def own(environment_root: Path) -> AsyncIterator[Cluster]:
    with Cluster(environment_root, EVAL_SLOTS=2) as opened:
        await opened.ready()
        yield opened


async def test_what_a_killed_worker_left_dies_and_the_next_one_sweeps_it_up(own: Cluster) -> None:
    """Only that: a living neighbour keeps what is its own."""
    dead, neighbour = own.worker, own.start_worker()
    await own.ready()
    families = {worker: descendants(worker.pid) for worker in (dead, neighbour)}
    folders = {folder.name.split("-")[-2]: folder for folder in runs_of(own)}
    groups = cgroups_of(neighbour.pid)
    dead.kill()
    await until(lambda: not any(map(runs, families[dead])), "the end of its jails", within_s=10)
    own.start_worker()
    await own.ready()

    assert [folder.exists() for folder in (folders[str(dead.pid)], folders[str(neighbour.pid)])] == [False, True]
    assert cgroups_of(dead.pid) == []
    assert set(groups) <= set(cgroups_of(neighbour.pid))
    assert all(map(runs, families[neighbour]))
    assert {answer.verdict for answer in await own.evals(*["print(1)"] * 8)} == {"ok"}


async def test_a_cluster_that_was_stopped_leaves_nothing(own: Cluster) -> None:
    before = Path("/proc/self/mountinfo").read_text()
    assert (await own.eval("import numpy; print(1)")).verdict == "ok"
    living = [service for service in own.services if service.alive]
    family = {pid for service in living for pid in (service.pid, *descendants(service.pid))}
    assert len(family) > 10
    assert runs_of(own) != []
    own.stop()

    assert [pid for pid in family if runs(pid)] == []
    assert {service.process.returncode for service in living} == {0}
    assert [group for service in living for group in cgroups_of(service.pid)] == []
    assert runs_of(own) == []
    assert Path("/proc/self/mountinfo").read_text() == before


def runs_of(cluster: Cluster) -> list[Path]:
    """What workers have in the run folder."""
    return list((cluster.state / "run").iterdir())
