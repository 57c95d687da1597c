"""Keep a few child processes running, and stop them in order.

Children start in groups, in order, and stop in the opposite one, those of a group together. Each has a session of
its own (Ctrl-C in the terminal reaches the supervisor only), a log file, and is tied to us by the kernel, so that
nothing outlives even a kill -9. A child that dies is started again after a growing pause. Two things end everything
instead: the exit code that means "can never boot", and a child that keeps dying before all was ready once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Self, TypeVar

from evalctl.guards import UpError
from evalctl.tether import tethered

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from pathlib import Path

T = TypeVar("T")
NEVER_BOOTS = {2, 3}
"""Exit codes of a child that no restart can help, if it never worked: unusable settings, a machine that cannot jail."""
_DEATHS = 5
_SETTLED_S = 10.0
_PAUSE_FIRST_S, _PAUSE_MAX_S = 0.2, 5.0
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, kw_only=True)
class ChildSpec:
    """A process to keep running."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    log: Path
    grace_s: float
    """From SIGTERM to SIGKILL."""
    told_after_s: float = 0.0
    """How long after the others of its group it is told to stop, as it does what they ask for."""


class Interrupted(Exception):  # noqa: N818 (not an error: somebody asked us to stop)
    """A stop signal arrived."""


class Supervisor:
    """An async context manager; leaving it stops every child. Use it in the main thread."""

    def __init__(self, *, inherit: tuple[int, ...] = (), report: Callable[[str], None]) -> None:
        self._inherit = inherit
        self.report = report
        self._groups: list[list[_Child]] = []
        self._ended: asyncio.Future[Interrupted | UpError] = asyncio.get_running_loop().create_future()
        self._hurry = asyncio.Event()
        self.ready = False
        """Set it when the whole works: from then on a dying child never ends everything else."""

    async def __aenter__(self) -> Self:
        for number in _STOP_SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal)
        return self

    async def __aexit__(self, *_: object) -> None:
        for group in reversed(self._groups):
            await asyncio.gather(*(child.stop(self._hurry) for child in group))
        for number in _STOP_SIGNALS:
            asyncio.get_running_loop().remove_signal_handler(number)
        self._ended.cancel()

    def start(self, *specs: ChildSpec) -> None:
        """Start a group of children and keep them running."""
        self._groups.append([_Child(spec, self, inherit=self._inherit) for spec in specs])

    @property
    def patience_s(self) -> float:
        """How long stopping takes at most."""
        specs = [[child.spec for child in group] for group in self._groups]
        return sum(max((one.told_after_s + one.grace_s for one in group), default=0.0) for group in specs)

    def pid(self, name: str) -> int | None:
        """Process that a child is at the moment."""
        return next((child.pid for group in self._groups for child in group if child.spec.name == name), None)

    async def until(self, work: Coroutine[object, object, T]) -> T:
        """Do `work`, unless we are to end before it is done. Raises Interrupted, UpError."""
        task = asyncio.ensure_future(work)
        waited: set[asyncio.Future[Any]] = {task, self._ended}
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        while not task.done():  # until Python 3.12 `wait_for`, in redis-py too, may swallow a cancellation
            task.cancel()
            await asyncio.wait([task], timeout=0.05)
        return await self.until_ended()

    async def until_ended(self) -> NoReturn:
        """Wait for the end. Raises Interrupted, UpError."""
        raise await asyncio.shield(self._ended)

    def end(self, why: Interrupted | UpError) -> None:
        """Have `until` and `until_ended` raise this; the first reason counts."""
        if not self._ended.done():
            self._ended.set_result(why)

    def _on_signal(self) -> None:
        """First signal: stop in order. Another one while stopping: at once."""
        if self._ended.done():
            self._hurry.set()
        self.end(Interrupted())


class _Child:
    """One child and the task that keeps it running."""

    def __init__(self, spec: ChildSpec, supervisor: Supervisor, *, inherit: tuple[int, ...]) -> None:
        self.spec = spec
        self._supervisor = supervisor
        self._inherit = inherit
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False
        self._deaths = 0
        self._log_offset = 0
        self.keeper = asyncio.create_task(self._keep(), name=f"keep {spec.name}")

    @property
    def pid(self) -> int | None:
        """Of the process that it is at the moment."""
        return self._process.pid if self._process else None

    async def stop(self, hurry: asyncio.Event) -> None:
        """SIGTERM when it is time, wait for at most the grace (or `hurry`), SIGKILL to what it started too."""
        self._stopping = True
        process = self._process
        if process is None or process.returncode is not None:
            self.keeper.cancel()
            await asyncio.gather(self.keeper, return_exceptions=True)
            return
        impatient = asyncio.create_task(hurry.wait())
        ends: set[asyncio.Task[Any]] = {self.keeper, impatient}
        await asyncio.wait(ends, timeout=self.spec.told_after_s, return_when=asyncio.FIRST_COMPLETED)
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await asyncio.wait(ends, timeout=self.spec.grace_s, return_when=asyncio.FIRST_COMPLETED)
        impatient.cancel()
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        await asyncio.gather(self.keeper, return_exceptions=True)

    async def _keep(self) -> None:
        """Run it, again and again, until it is stopped or ends everything."""
        while not self._stopping:
            started_at = time.monotonic()
            try:
                end = _End.of(await self._run_once())
            except OSError as error:  # no room for its log, no process or descriptor to be had: it may pass
                end = _End(never=False, words=f"did not start ({error})")
            if self._stopping:
                return
            ready = self._supervisor.ready
            # A server that dies after minutes of reading its data back will do so again: nothing is settled yet.
            settled = ready and time.monotonic() - started_at > _SETTLED_S
            self._deaths = 1 if settled else self._deaths + 1
            if not ready and (end.never or self._deaths >= _DEATHS):
                self._supervisor.end(UpError(f"{self.spec.name} cannot start: {self._last_sentence(end)}"))
                return
            pause_s = min(_PAUSE_FIRST_S * 2 ** (self._deaths - 1), _PAUSE_MAX_S)
            name, log = self.spec.name, self.spec.log
            self._supervisor.report(f"{name} {end.words}; starting it again in {pause_s:g} s ({log})")
            await asyncio.sleep(pause_s)

    async def _run_once(self) -> int:
        with self.spec.log.open("ab") as log:
            self._log_offset = log.tell()
            self._process = await asyncio.create_subprocess_exec(
                *tethered(list(self.spec.argv)),
                env=self.spec.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=self._inherit,
            )
        return await self._process.wait()

    def _last_sentence(self, end: _End) -> str:
        """Last line that this run wrote."""
        lines: list[str] = []
        with contextlib.suppress(OSError), self.spec.log.open("rb") as log:
            log.seek(self._log_offset)
            lines = log.read()[-4096:].decode(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else f"it {end.words} and said nothing"


class _End(NamedTuple):
    """How a run of a child ended, or did not begin."""

    never: bool
    """No restart can help, if it never worked."""
    words: str

    @classmethod
    def of(cls, code: int) -> _End:
        """By its exit code."""
        words = f"exited with {code}" if code >= 0 else f"was killed by {signal.Signals(-code).name}"
        return cls(never=code in NEVER_BOOTS, words=words)
