"""Jails die, wear out and close; runs are told so or do not notice, and nothing is left."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import signal
import tracemalloc
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cluster import until
from processes import descendants, eventually
from walls import COUNTS, bare_sandbox

from sandbox import (
    Ending,
    Environment,
    JailFailed,
    Limits,
    RunSpec,
    Sandbox,
    SandboxConfig,
    SandboxUnavailable,
    Shared,
    Tier,
    default_environment,
    ending_of,
)
from sandbox.guest import protocol
from sandbox.host.jail import Jail

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.jail
ONE = RunSpec(code="print(1)")


def nsjails() -> set[int]:
    """Pids of the nsjails below this process."""
    return {pid for pid in descendants(os.getpid()) if command(pid) == "nsjail"}


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def zygote_of(nsjail: int) -> int:
    return next(pid for pid in descendants(nsjail) if pid in children(nsjail))


def children(pid: int) -> set[int]:
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("victim", ["nsjail", "zygote"])
async def test_a_jail_killed_under_load_fails_its_runs_only_and_is_replaced(
    victim: str, environment_root: Path, tmp_path: Path
) -> None:
    before = nsjails()
    async with bare_sandbox(environment_root, tmp_path, slots=4) as sandbox:
        (nsjail,) = nsjails() - before
        spec = RunSpec(code="import time; time.sleep(1); print(1)")
        runs = [asyncio.create_task(sandbox.run(spec)) for _ in range(12)]
        await asyncio.sleep(0.5)
        os.kill(nsjail if victim == "nsjail" else zygote_of(nsjail), signal.SIGKILL)
        results = await asyncio.gather(*runs, return_exceptions=True)
        failed = [result for result in results if isinstance(result, JailFailed)]

        assert 4 <= len(failed) <= 8
        assert {r.stdout for r in results if not isinstance(r, BaseException)} == {b"1\n"}
        assert len(failed) + sum(not isinstance(r, BaseException) for r in results) == len(results)
        assert (await sandbox.run(ONE)).stdout == b"1\n"
        await until(lambda: sandbox.pools["bare"].warm == 4, "warm cells")
        await until(lambda: len(nsjails() - before) == 1, "a tick of the pool: it buries the dead jail")
        stats = sandbox.pools["bare"].stats
        assert (stats.zygotes_died, stats.cells_stillborn) == (1, 0)
        assert 4 <= stats.cells_broken <= len(failed)


async def test_a_cell_that_dies_while_it_waits_is_counted_and_replaced(environment_root: Path, tmp_path: Path) -> None:
    before = nsjails()
    async with bare_sandbox(environment_root, tmp_path, slots=2) as sandbox:
        pool = sandbox.pools["bare"]
        await until(lambda: pool.warm == 2, "warm cells")
        (nsjail,) = nsjails() - before
        refills = pool.stats.refills
        os.kill(max(children(zygote_of(nsjail))), signal.SIGKILL)  # the interpreter that waits, not its init
        await until(lambda: pool.stats.refills > refills and pool.warm == 2, "another one")

        assert pool.stats.cells_idle == 1
        assert pool.stats.refill_s > 0
        assert (await sandbox.run(ONE)).stdout == b"1\n"


async def test_a_jail_killed_while_it_boots_is_booted_again(environment_root: Path, tmp_path: Path) -> None:
    """Chaos found it: the worker took its machine for one that can never jail, and left for good."""
    environment = default_environment(environment_root)
    sandbox = Sandbox(replace(environment, tiers=environment.tiers[:1]), SandboxConfig(run_dir=tmp_path / "run"))
    before = children(os.getpid())
    opening = asyncio.create_task(sandbox.__aenter__())
    await until(lambda: children(os.getpid()) > before, "a first process")
    os.kill(min(children(os.getpid()) - before), signal.SIGKILL)
    try:
        assert (await (await opening).run(ONE)).stdout == b"1\n"
    finally:
        await sandbox.__aexit__()


async def test_a_zygote_that_cannot_be_made_for_a_while_is_made_later(environment_root: Path, tmp_path: Path) -> None:
    """A disk that was full at that moment once left the tier without a zygote for good."""
    before = nsjails()
    async with bare_sandbox(environment_root, tmp_path, slots=2) as sandbox:
        (nsjail,) = nsjails() - before
        run_dir = sandbox.config.run_dir
        aside = run_dir.rename(tmp_path / "aside")
        run_dir.touch()
        os.kill(nsjail, signal.SIGKILL)
        await until(lambda: sandbox.pools["bare"].stats.zygotes_unbooted > 0, "a zygote that cannot be made")
        run_dir.unlink()
        aside.rename(run_dir)

        assert (await sandbox.run(ONE)).stdout == b"1\n"


async def test_what_a_program_printed_and_read_is_let_go_of_without_the_collector(
    environment_root: Path, tmp_path: Path
) -> None:
    """Cells are part of circles. A worker once held a hundred megabytes of what had been printed, for a while."""
    size, count = 1_000_000, 8
    spec = RunSpec(
        code=f"import os; print('x' * {size}); os.close(0)", stdin=b"y" * size, limits=Limits(output_bytes=2 * size)
    )
    async with bare_sandbox(environment_root, tmp_path, slots=2) as sandbox:
        await sandbox.run(spec)
        gc.collect()
        gc.disable()
        tracemalloc.start()
        try:
            for _ in range(count):
                assert len((await sandbox.run(spec)).stdout) == size + 1
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
            gc.enable()

    assert held < 2 * size


async def test_a_cell_rehearses_unless_somebody_waits_for_it(
    environment_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rehearsed: list[bool] = []
    fork = Jail.fork

    def noted(jail: Jail, *args: Any, **options: Any) -> None:
        rehearsed.append(bool(options["how"] & protocol.REHEARSE))
        fork(jail, *args, **options)

    monkeypatch.setattr(Jail, "fork", noted)
    async with bare_sandbox(environment_root, tmp_path, slots=2) as sandbox:
        assert rehearsed == [True, True]

        await asyncio.gather(*(sandbox.run(ONE) for _ in range(2)))
        burst = await asyncio.gather(*(sandbox.run(ONE) for _ in range(12)))
        assert not all(rehearsed)
        assert {report.stdout for report in burst} == {b"1\n"}


@contextlib.contextmanager
def few_descriptors(left: int) -> Iterator[None]:
    """Leave this process so many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = max(int(fd.name) for fd in Path("/proc/self/fd").iterdir()) + left + 2
    taken = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        for _ in range(left):
            os.close(taken.pop())
        yield
    finally:
        for fd in taken:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("counts", COUNTS)
async def test_a_cell_that_lacks_descriptors_takes_none_and_harms_nobody(
    counts: str, environment_root: Path, tmp_path: Path
) -> None:
    """Each try once left some open, and killed the zygote: the fewer there were, the fewer there would be."""
    async with bare_sandbox(environment_root, tmp_path, counts=counts) as sandbox:
        pool = sandbox.pools["bare"]
        await until(lambda: pool.warm == 2, "warm cells")
        neighbour = asyncio.create_task(sandbox.run(RunSpec(code="import time; time.sleep(1); print(1)")))
        await until(lambda: pool.stats.warm_hits == 1 and pool.warm == 2, "another cell in its stead")
        descriptors, cgroups = open_descriptors(), set(groups())
        for left in range(8):
            with few_descriptors(left):
                pool.want(3)
        assert (open_descriptors(), set(groups())) == (descriptors, cgroups)
        assert pool.starting == 0

        assert (await neighbour).stdout == b"1\n"
        await until(lambda: pool.warm == 3, "the cell that was wanted")
        assert pool.stats.zygotes_died == 0


@pytest.mark.parametrize("counts", COUNTS)
async def test_a_zygote_that_cannot_fork_for_a_while_loses_nobody(
    counts: str, environment_root: Path, tmp_path: Path
) -> None:
    """No process to be had: its neighbours in the container have them all. It once died of that, with all its cells."""
    before = nsjails()
    async with bare_sandbox(environment_root, tmp_path, counts=counts, slots=4) as sandbox:
        pool = sandbox.pools["bare"]
        (nsjail,) = nsjails() - before
        zygote = zygote_of(nsjail)
        await until(lambda: pool.warm == 4, "warm cells")
        neighbour = asyncio.create_task(sandbox.run(RunSpec(code="import time; time.sleep(4); print(1)")))
        await until(lambda: pool.stats.warm_hits == 1 and pool.warm == 4, "another cell in its stead")
        allowed = resource.prlimit(zygote, resource.RLIMIT_NPROC)
        resource.prlimit(zygote, resource.RLIMIT_NPROC, (1, allowed[1]))
        assert {(await sandbox.run(ONE)).stdout for _ in range(4)} == {b"1\n"}
        await until(lambda: pool.stats.cells_stillborn > 6, "more of them than a zygote may have in a row")
        resource.prlimit(zygote, resource.RLIMIT_NPROC, allowed)

        assert (await sandbox.run(ONE)).stdout == (await neighbour).stdout == b"1\n"
        await until(lambda: pool.warm == 4, "warm cells")
        assert children(nsjail) == {zygote}
        assert pool.stats.zygotes_died == 0


async def test_a_stopped_zygote_is_found_out(environment_root: Path, tmp_path: Path) -> None:
    """It takes no orders and tells no ends; the deadline kills it and the next run works."""
    before = nsjails()
    environment = default_environment(environment_root)
    environment = replace(environment, tiers=environment.tiers[:1])
    config = SandboxConfig(run_dir=tmp_path / "run", slots=1, warm_timeout_s=1.0)
    async with Sandbox(environment, config) as sandbox:
        (nsjail,) = nsjails() - before
        os.kill(zygote_of(nsjail), signal.SIGSTOP)
        with pytest.raises(JailFailed):
            await sandbox.run(replace(ONE, limits=Limits(wall_s=0.5)))
        outcomes = []
        for _ in range(20):
            try:
                outcomes.append(ending_of(await sandbox.run(ONE)))
                break
            except JailFailed:
                await asyncio.sleep(0.2)

        assert outcomes == [Ending.OK]


async def test_a_worn_zygote_is_replaced_without_a_run_failing(environment_root: Path, tmp_path: Path) -> None:
    environment = default_environment(environment_root)
    environment = replace(environment, tiers=environment.tiers[:1])
    config = SandboxConfig(run_dir=tmp_path / "run", slots=2, zygote_cells=10)
    async with Sandbox(environment, config) as sandbox:
        for _ in range(40):
            assert (await sandbox.run(ONE)).stdout == b"1\n"
            await asyncio.sleep(0.06)

        assert sandbox.pools["bare"].stats.zygotes_worn >= 1
        assert sandbox.pools["bare"].stats.zygotes_died == 0


async def test_a_preload_that_fails_is_fatal_at_boot_by_name(environment_root: Path, tmp_path: Path) -> None:
    broken, slow = Tier(name="broken", preload=("json", "no_such_module")), Tier(name="slow", preload=("pandas",))
    environment = Environment(packages=environment_root, tiers=(broken, slow))
    sandbox = Sandbox(environment, SandboxConfig(run_dir=tmp_path / "run"))
    before = descendants(os.getpid())

    with pytest.raises(SandboxUnavailable, match="no_such_module"):
        await sandbox.__aenter__()
    assert not (tmp_path / "run").exists()
    assert eventually(lambda: descendants(os.getpid()) <= before, within_s=10), "nor does the other tier go on"


def groups() -> Iterator[Path]:
    """Cgroup folders of sandboxes of this process."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for name in controllers.split(","):
            yield from Path("/sys/fs/cgroup", name, path.lstrip("/")).glob(f"evalpool-{os.getpid()}-*")


@pytest.mark.parametrize("counts", COUNTS)
async def test_nothing_is_left_when_a_sandbox_closes_under_load(
    counts: str, environment_root: Path, tmp_path: Path
) -> None:
    """No process, mount, cgroup, folder or descriptor."""
    await asyncio.to_thread(lambda: None)  # what the loop opens once is not the sandbox's
    processes, mounts = descendants(os.getpid()), Path("/proc/self/mountinfo").read_text()
    descriptors, cgroups = open_descriptors(), set(groups())
    async with bare_sandbox(environment_root, tmp_path, counts=counts) as sandbox:
        await sandbox.run(RunSpec(code="import os\nfor _ in range(9): os.fork()", limits=Limits(wall_s=0.2)))
        runs = [asyncio.create_task(sandbox.run(RunSpec(code="while True: pass"))) for _ in range(4)]
        await asyncio.sleep(0.2)
    results = await asyncio.gather(*runs, return_exceptions=True)

    assert {type(result) for result in results} == {JailFailed}
    assert eventually(lambda: descendants(os.getpid()) <= processes)
    assert Path("/proc/self/mountinfo").read_text() == mounts
    assert set(groups()) <= cgroups
    assert list(tmp_path.iterdir()) == []
    assert eventually(lambda: open_descriptors() <= descriptors)


async def test_many_runs_leave_no_descriptor_process_or_slot_behind(environment_root: Path, tmp_path: Path) -> None:
    async with bare_sandbox(environment_root, tmp_path, slots=4) as sandbox:
        await asyncio.gather(*(sandbox.run(ONE) for _ in range(20)))
        await asyncio.sleep(0.3)
        descriptors, processes = open_descriptors(), len(descendants(os.getpid()))
        for _ in range(20):
            await asyncio.gather(*(sandbox.run(ONE) for _ in range(10)))
        await asyncio.sleep(0.3)

        # A slot that is used for the first time opens its cgroup's five files, once.
        assert open_descriptors() <= descriptors + 5 * 8
        assert len(descendants(os.getpid())) <= processes + 4
        assert sandbox.pools["bare"].stats.cells_stillborn == 0


async def test_a_sandbox_that_closes_while_its_jail_ends_gives_its_slots_back(
    environment_root: Path, tmp_path: Path
) -> None:
    """Where several share them, the others once had fewer each time."""
    environment = Environment(packages=environment_root, tiers=(Tier(name="bare", preload=()),))
    config = SandboxConfig(run_dir=tmp_path, slots=4)
    with closing(Shared(config)) as shared:
        sandbox = Sandbox(environment, replace(config, run_dir=tmp_path / "run"), shared)
        await sandbox.open()
        await until(lambda: sandbox.pools["bare"].warm > 0, "a warm cell")
        jail = sandbox.pools["bare"]._jail
        assert jail is not None
        jail.lose()
        await asyncio.sleep(0)
        await sandbox.__aexit__()

        assert shared.slots._next == len(shared.slots._free)


async def test_what_one_program_writes_the_next_in_its_slot_does_not_find(
    environment_root: Path, tmp_path: Path
) -> None:
    """The network namespace is the slot's, so it tells which programs shared one."""
    code = """
import os, socket
print(os.readlink("/proc/self/ns/net"), os.listdir("/tmp"), os.listdir("/dev/shm"), os.listdir("/work"))
for folder in ("/tmp", "/dev/shm", "/work"): open(f"{folder}/left", "w").close()
server = socket.create_server(("127.0.0.1", 7777))
"""
    async with bare_sandbox(environment_root, tmp_path, slots=1) as sandbox:
        told = [(await sandbox.run(RunSpec(code=code))).stdout.decode().split(" ", 1) for _ in range(12)]

    assert len({slot for slot, _ in told}) < len(told)
    assert {rest for _, rest in told} == {"[] [] ['main.py']\n"}
