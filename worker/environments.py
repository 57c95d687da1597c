"""The environments of one worker: a sandbox each, switched under load when the file changes.

A job that runs stays where it is: what was switched away from is closed only when nothing runs in it any more.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from jobs.model import DEFAULT, EnvironmentInfo
from sandbox import EnvironmentsError, Sandbox, SandboxUnavailable, Shared, bare_environment, default_environment
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
        seen = list(map(_version, files))
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(hurry.wait(), _LOOK_S)
            if (now := list(map(_version, files))) != seen or hurry.is_set():
                hurry.clear()
                seen = now
                await self.reload(serve)
            self._look_after(serve)

    async def reload(self, serve: Callable[[Collection[str]], None]) -> None:
        """Serve what the file says now. What cannot be served is logged, and the old one stays."""
        try:
            wanted = await aside(self._read)
        except EnvironmentsError as error:
            log.error(str(error), extra={"event": "environments_refused"})  # noqa: TRY400  the operator's, not ours
            return
        for name, environment in wanted.items():
            self._leaving.discard(name)
            if name not in self.serving or self.serving[name].environment != environment:
                await self._switch(environment)
                serve(self._able())
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
        """Why not every environment serves; "": they do."""
        return f"cannot run programs of: {', '.join(sorted(self._down))}" if self._down else ""

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
        except (SandboxUnavailable, OSError) as error:
            extra = {"event": "environment_refused", "environment": environment.name}
            log.error(str(error), extra=extra)  # noqa: TRY400  the sentence says it all
            return
        old = self.serving.get(environment.name)
        self.serving[environment.name] = sandbox
        if old is not None:
            self._task(self._end(old))
        extra = {"event": "environment_ready", "environment": environment.name, "digest": environment.digest}
        log.info("environment ready", extra=extra)

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
        except SandboxUnavailable as error:
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


def _version(file: Path) -> tuple[int, int, int] | None:
    """Something that changes when the file does, or a link leads elsewhere."""
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_ino, stat.st_size
