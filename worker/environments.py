"""The environments of one worker: a sandbox each, switched under load when the file changes.

A job that runs stays where it is: what was switched away from is closed only when nothing runs in it any more.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from jobs.model import DEFAULT, EnvironmentInfo
from sandbox import (
    EnvironmentsError,
    NotSupported,
    Sandbox,
    SandboxError,
    SandboxUnavailable,
    Shared,
    bare_environment,
    default_environment,
)
from sandbox.environments_file import load, with_variables
from sandbox.host.aside import aside

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping
    from pathlib import Path

    from sandbox import Environment, SandboxConfig
    from sandbox.host.pool import Pool
    from worker.settings import WorkerSettings

log = logging.getLogger(__name__)
_LOOK_S = 1.0
_AGAIN_S, _MOST_AGAIN_S = 2.0, 60.0
"""What could not be taken over is tried again after the first pause, then after pauses twice as long, up to the second:
nobody but us sees when the reason (no memory, a folder that is not mounted) has passed."""
_FILE = ""
"""Stands for the file itself among the names of environments."""
_GOODBYE_S = 7.0
"""From the last announcement of an environment to its last lease: longer than anybody believes an announcement."""
_LAST_LEASE_S = 2.0
"""A lease that has begun waits for less."""


def read(settings: WorkerSettings) -> dict[str, Environment]:
    """Environments as file and variables have them now, `default` first. Raises EnvironmentsError."""
    # What a link leads to is another environment when it leads elsewhere (evalctl packages).
    root = settings.environment_root and settings.environment_root.resolve()
    default = default_environment(root) if root else bare_environment()
    found = load(settings.environments_path, settings.images_dir, default)
    own = {"filename": settings.filename, "command": settings.run_command, "env": settings.env}
    return {**found, DEFAULT: with_variables(found[DEFAULT], **own)}


def watched(settings: WorkerSettings) -> list[Path]:
    """What `read` depends on: the file, and the link to the packages of the default environment."""
    return [settings.environments_path, *([settings.environment_root] if settings.environment_root else [])]


class Environments:
    """An async context manager. `read` gives the environments as the file has them now."""

    def __init__(self, read: Callable[[], Mapping[str, Environment]], config: SandboxConfig) -> None:
        self._read, self._config = read, config
        self._shared = Shared(config)
        self._folders = itertools.count(1)
        self._closing: set[asyncio.Task[None]] = set()
        self.serving: dict[str, Sandbox] = {}
        """Sandboxes by the name of their environment. Changes under whoever holds it."""
        self._leaving: set[str] = set()
        """Of these, those that the file does not have any more."""
        self._down: set[str] = set()
        """Of these, those that cannot run anything now: their jobs are left to other workers."""
        self._refused: dict[str, str] = {}
        """Why not what the file says is served but what was before; by environment."""

    async def __aenter__(self) -> Self:
        """Boot and prove them all. Raises EnvironmentsError; SandboxUnavailable, which names the environment."""
        wanted = self._read()
        async with AsyncExitStack() as undo:
            undo.push_async_exit(self.__aexit__)
            for environment in wanted.values():
                self.serving[environment.name] = await self._open(environment)
            undo.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._closing:
            task.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)
        await asyncio.gather(*(sandbox.__aexit__() for sandbox in self.serving.values()))
        self.serving.clear()
        self._shared.close()

    def about(self) -> dict[str, EnvironmentInfo]:
        """What callers are told of each, by name; nothing of those that leave."""
        return {name: _info(box.environment) for name, box in self.serving.items() if name not in self._leaving}

    def pools(self) -> Iterator[tuple[str, str, Pool]]:
        """Environment, tier, pool: for metrics."""
        for name, sandbox in self.serving.items():
            for tier, pool in sandbox.pools.items():
                yield name, tier, pool

    async def follow(
        self, files: Collection[Path], hurry: asyncio.Event, serve: Callable[[Collection[str]], None]
    ) -> None:
        """Take over what changes in the files, for ever; `hurry` has them read now.

        `serve` hears whose jobs to take whenever that changes.
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(self._take_over(files, hurry, serve))
            # By itself: to boot what is new may take long, and to fail again and again longer.
            group.create_task(self._watch(serve))

    async def _take_over(
        self, files: Collection[Path], hurry: asyncio.Event, serve: Callable[[Collection[str]], None]
    ) -> None:
        seen: object = None  # looked at in any case: the file may have changed while its environments were booted
        pause_s = again_at = 0.0
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(hurry.wait(), _LOOK_S)
            if (now := list(map(_version, files))) != seen or hurry.is_set():
                hurry.clear()
                seen, pause_s = now, _AGAIN_S
            elif self._refused and time.monotonic() >= again_at:
                pause_s = min(2 * pause_s, _MOST_AGAIN_S)
            else:
                continue
            await self.reload(serve)
            again_at = time.monotonic() + pause_s

    async def _watch(self, serve: Callable[[Collection[str]], None]) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            self._look_after(serve)

    async def reload(self, serve: Callable[[Collection[str]], None]) -> None:
        """Serve what the file says now. What cannot be served, whyever, is logged, and the old one stays."""
        try:
            wanted = await aside(self._read)
        except Exception as error:  # noqa: BLE001  whatever it is, programs run here
            self._refuse(_FILE, error)
            return
        self._refused = {name: why for name, why in self._refused.items() if name in wanted}
        for name, environment in wanted.items():
            self._leaving.discard(name)
            if name not in self.serving or self.serving[name].environment != environment:
                await self._switch(environment)
                serve(self._able())
            else:
                self._refused.pop(name, None)
        for name in self.serving.keys() - wanted.keys() - self._leaving:
            self._leaving.add(name)
            self._task(self._leave(name, serve))

    def _look_after(self, serve: Callable[[Collection[str]], None]) -> None:
        """Take no jobs for what cannot run them, lest they fail here while another worker could; it stays announced."""
        down = {name for name, sandbox in self.serving.items() if sandbox.is_down}
        for name in sorted(down - self._down):
            log.error("environment is down", extra={"event": "environment_down", "environment": name})
        for name in sorted((self._down - down) & self.serving.keys()):
            log.info("environment serves again", extra={"event": "environment_up", "environment": name})
        if down != self._down:
            self._down = down
            serve(self._able())

    def _able(self) -> set[str]:
        return self.serving.keys() - self._down

    @property
    def complaint(self) -> str:
        """Why not every environment serves, as the file has it now; "": they do."""
        down = [f"cannot run programs of: {', '.join(sorted(self._down))}"] if self._down else []
        refused = [f"not taken over: {why}" for why in self._refused.values()]
        return "; ".join([*down, *refused]).replace("\n", "; ")

    async def _leave(self, name: str, serve: Callable[[Collection[str]], None]) -> None:
        """Let go of an environment in such an order that no job for it is lost: say so, lease no more, end."""
        await asyncio.sleep(_GOODBYE_S)
        if name not in self._leaving:
            return  # it is wanted again
        serve(self._able() - self._leaving)
        await asyncio.sleep(_LAST_LEASE_S)
        if name not in self._leaving:
            serve(self._able())
            return
        self._leaving.discard(name)
        log.info("environment gone", extra={"event": "environment_gone", "environment": name})
        await self._end(self.serving.pop(name))

    async def _switch(self, environment: Environment) -> None:
        try:
            sandbox = await self._open(environment, gently=True)
        except Exception as error:  # noqa: BLE001  whatever it is, programs run here
            self._refuse(environment.name, error)
            return
        self._refused.pop(environment.name, None)
        old = self.serving.get(environment.name)
        self.serving[environment.name] = sandbox
        if old is not None:
            self._task(self._end(old))
        extra = {"event": "environment_ready", "environment": environment.name, "digest": environment.digest}
        log.info("environment ready", extra=extra)

    def _refuse(self, name: str, error: Exception) -> None:
        """Note why; said once, however often it is tried."""
        why = _why(name, error)
        if self._refused.get(name) != why:
            extra = {"event": "environment_refused" if name else "environments_refused"}
            if name:
                extra["environment"] = name
            told = isinstance(error, EnvironmentsError | SandboxError | OSError)  # the sentence says it all
            log.error(why, extra=extra, exc_info=None if told else error)
        self._refused[name] = why

    async def _open(self, environment: Environment, *, gently: bool = False) -> Sandbox:
        folder = self._config.run_dir / str(next(self._folders))
        sandbox = Sandbox(environment, replace(self._config, run_dir=folder), self._shared)
        try:
            await sandbox.open(gently=gently)
            try:
                await sandbox.prove()
            except BaseException:
                await sandbox.__aexit__()
                raise
        except (SandboxUnavailable, NotSupported) as error:
            raise SandboxUnavailable(f"environment {environment.name}: {error}") from error
        return sandbox

    async def _end(self, sandbox: Sandbox) -> None:
        try:
            await sandbox.idle()
        finally:
            await sandbox.__aexit__()

    def _task(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def _info(environment: Environment) -> EnvironmentInfo:
    return EnvironmentInfo(
        kind=environment.kind,
        filename=environment.filename,
        command=environment.command,
        digest=environment.digest or None,
    )


def _why(name: str, error: Exception) -> str:
    """Sentence for the log and the door."""
    if isinstance(error, EnvironmentsError | SandboxUnavailable):
        return str(error)  # says where
    words = str(error) if isinstance(error, SandboxError | OSError) else f"{type(error).__name__}: {error}"
    return f"environment {name}: {words}" if name else f"the environments cannot be read: {words}"


def _version(file: Path) -> tuple[int, int, int] | None:
    """Something that changes when the file does, or a link leads elsewhere."""
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_ino, stat.st_size
