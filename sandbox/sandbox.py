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
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from sandbox.environment import Kind
from sandbox.errors import JailFailed, NotSupported, SandboxUnavailable
from sandbox.host.aside import remove
from sandbox.host.compiler import Compiler
from sandbox.host.hold import held
from sandbox.host.identity import uid_range
from sandbox.host.jail import Jail
from sandbox.host.pool import Pool
from sandbox.host.room import require_room
from sandbox.host.walls import walls_for
from sandbox.preludes import PRELUDES
from sandbox.shared import Shared
from sandbox.spec import RunReport, RunSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from sandbox.bytecode import Turn
    from sandbox.config import SandboxConfig
    from sandbox.environment import Environment, Tier

_IMPORT = re.compile(r"^[ \t]*(?:from|import)[ \t]+([A-Za-z_][\w., \t]*)", re.MULTILINE)
_SPARE = 4
"""Slots per tier beyond running and warm cells: for cells whose last process is still dying."""
_OPEN_FILES = 1 << 16
_PROOF_TRIES = 3


class Sandbox:
    """Runs programs of one environment. One event loop only; concurrent runs are bounded by `slots`.

    With `shared`, slots and warm cells are those of all sandboxes that share it.
    """

    def __init__(self, environment: Environment, config: SandboxConfig, shared: Shared | None = None) -> None:
        self.environment = environment
        self.config = replace(config, cell=environment.limits or config.cell)
        self._shared = shared or Shared(config)
        self._owns_shared = shared is None
        self.hierarchy = self._shared.hierarchy
        self._own_uids = uid_range() is not None
        self._pools: dict[str, Pool] = {}
        self._folders = itertools.count(1)
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._held = ExitStack()
        self._prelude = PRELUDES.get(environment.warm)
        self._compiler = Compiler(environment, self._shared.compiled)
        most = config.warm or config.slots
        self._room = most + (len(environment.tiers) - 1) * max(2, most // 2) + _SPARE * len(environment.tiers)

    async def __aenter__(self) -> Self:
        """Boot every tier. Raises SandboxUnavailable: the machine cannot jail, or a preload failed."""
        await self.open()
        return self

    async def open(self, *, gently: bool = False) -> None:
        """Boot every tier; `gently`: one after another, where others are served meanwhile. Raises as `__aenter__`."""
        _allow_open_files()
        self.config.run_dir.mkdir(parents=True, exist_ok=True)
        self._shared.slots.grow(self._room)
        self._held.enter_context(held(self.environment.image))
        try:
            for tier in self.environment.tiers:
                self._pools[tier.name] = self._pool(tier)
            self._shared.warmth.join(self, self._heat)
            if gently:
                for pool in self._pools.values():
                    await pool.open()
            else:
                await _together(pool.open() for pool in self._pools.values())
        except BaseException:
            await self.__aexit__()
            raise

    async def __aexit__(self, *_: object) -> None:
        """Kill everything and leave nothing behind."""
        self._shared.warmth.leave(self)
        await asyncio.gather(*(pool.close() for pool in self._pools.values()))
        self._held.close()
        self._shared.slots.grow(-self._room)
        if self._owns_shared:
            self._shared.close()
        await remove(self.config.run_dir)

    async def idle(self) -> None:
        """Wait until no program runs."""
        await self._idle.wait()

    @property
    def pools(self) -> dict[str, Pool]:
        """The pool of each tier, for metrics."""
        return self._pools

    @property
    def is_down(self) -> bool:
        """Whether one of its tiers cannot run anything now, and could not for seconds."""
        return any(pool.is_down for pool in self._pools.values())

    async def run(self, spec: RunSpec, on_output: Callable[[str, bytes], None] | None = None) -> RunReport:
        """Run one program; `on_output(stream, chunk)` hears what it prints, line by line as on a terminal.

        Cancelling the call kills the program. Raises JailFailed (try again), NotSupported.
        """
        self._refuse(spec)
        pool = self._pools[self._tier_of(spec)]
        self._running += 1
        self._idle.clear()
        try:
            async with self._shared.busy:
                self._shared.warmth.asked(self)
                report, warm = await self._run_in(pool, spec, on_output)
        finally:
            self._running -= 1
            if not self._running:
                self._idle.set()
        return replace(report, warm=warm, tier=pool.name)

    async def _run_in(
        self, pool: Pool, spec: RunSpec, on_output: Callable[[str, bytes], None] | None
    ) -> tuple[RunReport, bool]:
        if not self.environment.compile:
            return await self._shared_step(pool, spec, on_output)
        built = await self._compiler.build(spec, lambda compile_spec: self._step(pool, compile_spec, step="compile"))
        if isinstance(built, RunReport):
            return built, False
        report, warm = await self._step(pool, built.spec_of(spec, self.environment.binary), on_output)
        return replace(report, compile=built.report), warm

    async def _shared_step(
        self, pool: Pool, spec: RunSpec, on_output: Callable[[str, bytes], None] | None
    ) -> tuple[RunReport, bool]:
        """Run; if the program's bytecode is shared, with what an earlier run compiled, or compiling for later ones."""
        if spec.bytecode is None or not spec.bytecode.is_of(self) or spec.interpreter_mode or spec.strace:
            return await self._step(pool, spec, on_output)
        turn = await spec.bytecode.turn()
        try:
            return await self._step(pool, spec, on_output, turn=turn)
        finally:
            turn.end()

    async def _step(
        self,
        pool: Pool,
        spec: RunSpec,
        on_output: Callable[[str, bytes], None] | None = None,
        *,
        step: str = "run",
        turn: Turn | None = None,
    ) -> tuple[RunReport, bool]:
        require_room(spec, self.config.cell)
        plain = self._prelude is not None and not self._prelude.fits(spec)
        cell, warm = await pool.acquire(trace=spec.strace, patient=spec.patient, plain=plain)
        try:
            return await cell.run(spec, on_output, step=step, turn=turn), warm
        except JailFailed:
            pool.stats.cells_broken += 1
            raise

    async def prove(self) -> None:
        """Run a program in every tier. Raises SandboxUnavailable: only what has run something may call itself ready."""
        for pool in self._pools.values():
            report = await self._prove(pool)
            if self._trial and report.stdout != b"ok\n":
                raise SandboxUnavailable(f"tier {pool.name} ran a first program wrongly: {report}")

    async def _prove(self, pool: Pool) -> RunReport:
        for _ in range(_PROOF_TRIES):
            try:
                report, _ = await self._run_in(pool, RunSpec(code=self._trial), None)
            except JailFailed as error:
                last = error
            else:
                return report
        raise SandboxUnavailable(f"tier {pool.name} cannot run a program: {last}") from last

    @property
    def _trial(self) -> str:
        return "print('ok')" if self.environment.kind is Kind.PYTHON else self.environment.trial

    def _refuse(self, spec: RunSpec) -> None:
        """Raise NotSupported for what this environment cannot do."""
        if spec.strace and not os.path.exists("/usr/bin/strace"):  # noqa: PTH110  one stat of a local file
            raise NotSupported("strace is not installed here (apt-get install strace)")
        for name in (self.environment.filename, self.environment.binary):
            if any(path.partition("/")[0] == name for path in spec.files):
                raise NotSupported(f"{name} is the program itself: no file or folder may have its name")
        if self.environment.kind is not Kind.PYTHON:
            for wanted in ("interpreter_mode", "figures", "display"):
                if getattr(spec, wanted):
                    raise NotSupported(f"{wanted} is for Python; the environment {self.environment.name} is not")

    def _heat(self, cells: int) -> None:
        """Keep so many cells warm in the first tier, and fewer in the others."""
        first, *others = self._pools.values()
        first.want(cells)
        for pool in others:
            pool.want(max(2, cells // 2) if cells > 1 else 1)

    def _tier_of(self, spec: RunSpec) -> str:
        if spec.bytecode is None or not spec.bytecode.is_of(self):
            return self._tier(spec.code)
        if spec.bytecode.tier is None:
            spec.bytecode.tier = self._tier(spec.code)
        return spec.bytecode.tier

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

    def _pool(self, tier: Tier) -> Pool:
        async def boot() -> Jail:
            folder = self.config.run_dir.absolute() / f"{tier.name}-{next(self._folders)}"
            counted = self.hierarchy is not None
            walls: dict[str, Any] = walls_for(self.config.cell, own_uids=self._own_uids, counted=counted)
            return await Jail.start(folder, self.environment, tier, walls, timeout_s=self.config.boot_timeout_s)

        shared, ahead = self._shared, self._prelude.cells if self._prelude else 0
        review = shared.warmth.review
        return Pool(tier.name, slots=shared.slots, config=self.config, boot=boot, review=review, ahead=ahead)


async def _together(steps: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Do them at once; if one fails the others end before its error is raised, for what they make is to go."""
    tasks = [asyncio.ensure_future(step) for step in steps]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


def _allow_open_files() -> None:
    """Raise this process's bound of descriptors, and so its jails': more than its programs may hold in flight.

    For an ordinary user those count as this process's own; over its bound it could send no cell its pipes.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
