"""The sandbox: warm pools of one environment behind one call.

async with Sandbox(default_environment(path), config) as sandbox:
    report = await sandbox.run(RunSpec(code="print(1 + 1)"))
"""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import resource
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from sandbox.errors import JailFailed, NotSupported, SandboxUnavailable
from sandbox.host.cgroup import find_hierarchy
from sandbox.host.jail import Jail
from sandbox.host.pool import Pool
from sandbox.host.slots import Slots
from sandbox.host.walls import walls_for
from sandbox.spec import RunSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.config import SandboxConfig
    from sandbox.environment import Environment, Tier
    from sandbox.spec import RunReport

_IMPORT = re.compile(r"^[ \t]*(?:from|import)[ \t]+([A-Za-z_][\w., \t]*)", re.MULTILINE)
_SPARE = 4
"""Slots beyond running and warm cells: for cells whose last process is still dying."""
_OPEN_FILES = 1 << 16
_serial = itertools.count()


class Sandbox:
    """Runs programs of one environment. One event loop only; concurrent runs are bounded by `slots`."""

    def __init__(self, environment: Environment, config: SandboxConfig) -> None:
        self.environment, self.config = environment, config
        self.hierarchy = find_hierarchy() if config.cgroups else None
        self._own_uids = os.geteuid() == 0
        self._pools: dict[str, Pool] = {}
        self._folders = itertools.count(1)
        self._busy = asyncio.Semaphore(config.slots)

    async def __aenter__(self) -> Self:
        """Boot every tier. Raises SandboxUnavailable: the machine cannot jail, or a preload failed."""
        _allow_open_files()
        self.config.run_dir.mkdir(parents=True, exist_ok=True)
        if self.hierarchy is not None:
            self.hierarchy.sweep()
        first = self.config.warm or self.config.slots
        tiers = self.environment.tiers
        wanted = {tier.name: first if tier is tiers[0] else max(2, first // 2) for tier in tiers}
        count = self.config.slots + sum(wanted.values()) + _SPARE * len(tiers)
        name = f"evalpool-{os.getpid()}-{next(_serial)}"
        self._slots = Slots(count, self.hierarchy, name=name, processes=self.config.cell.processes)
        try:
            for tier in tiers:
                self._pools[tier.name] = self._pool(tier, wanted[tier.name])
            await asyncio.gather(*(pool.open() for pool in self._pools.values()))
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Kill everything and leave nothing behind."""
        await asyncio.gather(*(pool.close() for pool in self._pools.values()))
        self._slots.close()
        shutil.rmtree(self.config.run_dir, ignore_errors=True)

    @property
    def pools(self) -> dict[str, Pool]:
        """The pool of each tier, for metrics."""
        return self._pools

    async def run(self, spec: RunSpec, on_output: Callable[[str, bytes], None] | None = None) -> RunReport:
        """Run one program; `on_output(stream, chunk)` hears what it prints, line by line as on a terminal.

        Cancelling the call kills the program. Raises JailFailed (try again), NotSupported.
        """
        if spec.strace and not os.path.exists("/usr/bin/strace"):  # noqa: PTH110  one stat of a local file
            raise NotSupported("strace is not installed here (apt-get install strace)")
        pool = self._pools[self._tier(spec.code)]
        async with self._busy:
            cell, warm = await pool.acquire(trace=spec.strace)
            try:
                report = await cell.run(spec, on_output)
            except JailFailed:
                pool.stats.cells_broken += 1
                raise
        return replace(report, warm=warm, tier=pool.name)

    async def prove(self) -> None:
        """Run a program in every tier. Raises SandboxUnavailable: only what has run something may call itself ready."""
        for pool in self._pools.values():
            try:
                cell, _ = await pool.acquire()
                report = await cell.run(RunSpec(code="print('ok')"))
            except JailFailed as error:
                raise SandboxUnavailable(f"tier {pool.name} cannot run a program: {error}") from error
            if report.stdout != b"ok\n":
                raise SandboxUnavailable(f"tier {pool.name} ran a first program wrongly: {report}")

    def _tier(self, code: str) -> str:
        """Name of the tier whose preloads the program's imports call for."""
        first, *others = self.environment.tiers
        found = (
            re.split(r"[.\s]", name.strip(), maxsplit=1)[0] for m in _IMPORT.findall(code) for name in m.split(",")
        )
        imported = set(found)
        for tier in reversed(others):
            if not tier.serves.isdisjoint(imported):
                return tier.name
        return first.name

    def _pool(self, tier: Tier, wanted: int) -> Pool:
        async def boot() -> Jail:
            folder = self.config.run_dir.absolute() / f"{tier.name}-{next(self._folders)}"
            counted = self.hierarchy is not None
            walls: dict[str, Any] = walls_for(self.config, own_uids=self._own_uids, counted=counted)
            return await Jail.start(folder, self.environment, tier, walls, timeout_s=self.config.boot_timeout_s)

        return Pool(tier.name, wanted=wanted, slots=self._slots, config=self.config, boot=boot)


def _allow_open_files() -> None:
    """Raise this process's bound of descriptors, and so its jails': more than its programs may hold in flight.

    For an ordinary user those count as this process's own; over its bound it could send no cell its pipes.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
