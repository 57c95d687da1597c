"""Packages of the default environment beside the locked ones, for `evalctl packages`. Each change is a new layer.

Nothing is changed in place: a layer is built aside, tried in a real cell, and then pointed to. Workers follow within a
second, without a restart; cells that run keep the layer that they were made of.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalctl import bootstrap, trial
from evalctl.installer import Installer, InstallError, Sources, canonical, name_of, versions
from evalctl.layers import Layer, Layers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from evalctl.settings import Settings


class PackagesError(Exception):
    """The change was not made, and nothing is different; the message is one sentence for people."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """What a new layer brought."""

    layer: Layer
    changed: dict[str, str]
    """Package -> version that is new or another one."""
    seconds: float
    own_bytes: int
    """What the layer takes on disk beyond what it shares."""


def add(settings: Settings, requirements: Sequence[str], sources: Sources) -> Change:
    """Add packages to the environment in use. Raises PackagesError."""
    with _changing(settings) as layers:
        for requirement in requirements:
            name_of(requirement)
        current = layers.current()
        return _build(settings.state_dir, layers, current, (*current.groups, tuple(requirements)), sources)


def remove(settings: Settings, names: Sequence[str], sources: Sources) -> Change:
    """Build the environment without these packages: anew on the base, at the same versions. Raises PackagesError."""
    with _changing(settings) as layers:
        current = layers.current()
        added = {name_of(line) for line in current.requirements}
        for name in names:
            if canonical(name) not in added:
                raise PackagesError(f"{name} was not added; added are: {', '.join(sorted(added)) or 'none'}")
        gone = {canonical(name) for name in names}
        groups = tuple(tuple(line for line in group if name_of(line) not in gone) for group in current.groups)
        left = tuple(group for group in groups if group)
        return _build(settings.state_dir, layers, layers.base, left, sources)


def rollback(settings: Settings) -> Layer:
    """Go back to what was in use before. Raises PackagesError."""
    with _changing(settings) as layers:
        previous = layers.previous()
        if previous is None:
            raise PackagesError("there is nothing to go back to: the locked packages are in use")
        layers.point(previous.root)
        return previous


def installed(settings: Settings) -> tuple[Layer, dict[str, str]]:
    """Layer in use, and all its packages with their versions. Raises PackagesError."""
    with _changing(settings) as layers:
        layer = layers.current()
        return layer, versions(layer.root)


def _build(state: Path, layers: Layers, source: Layer, groups: tuple[tuple[str, ...], ...], sources: Sources) -> Change:
    started_at = time.monotonic()
    pins = _pins(layers.current(), layers.base) if source is layers.base else []
    with layers.building(source) as partial:
        installer = Installer(state, partial)
        before = versions(partial)
        for group in groups[len(source.groups) :]:
            say(f"installing {', '.join(group)}")
            installer.install(group, sources, pins)
        installer.check()
        changed = {name: version for name, version in versions(partial).items() if before.get(name) != version}
        modules = trial.imports_of(partial, changed)
        say(f"importing {', '.join(modules) or 'nothing new'} in a cell")
        trial.try_imports(partial, state, modules)
        layer = layers.keep(partial, groups)
    layers.point(layer.root)
    return Change(layer=layer, changed=changed, seconds=time.monotonic() - started_at, own_bytes=_own_bytes(layer.root))


def say(text: str) -> None:
    """A line of progress; on stderr, like everything that is not a result."""
    print(f"evalctl: {text}", file=sys.stderr, flush=True)


def _pins(current: Layer, base: Layer) -> list[str]:
    """Versions of what was added, to have the same again."""
    locked = versions(base.root)
    return [f"{name}=={version}" for name, version in versions(current.root).items() if name not in locked]


@contextmanager
def _changing(settings: Settings) -> Iterator[Layers]:
    """The layers, to one command at a time, and every trouble in a sentence. Raises PackagesError."""
    if settings.environment_root is not None:
        raise PackagesError("EVAL_ENVIRONMENT_ROOT names an environment of your own: install there")
    state = settings.state_dir
    try:
        base = bootstrap.ensure_environment(state)
        with bootstrap.locked(state):
            os.umask(0o022)  # cells run as other users
            layers = Layers(state, base)
            layers.sweep()
            yield layers
    except (InstallError, trial.TrialError, bootstrap.BootstrapError) as error:
        raise PackagesError(str(error)) from None
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise PackagesError("the disk is full; nothing was changed") from None
        raise PackagesError(str(error)) from None


def _own_bytes(root: Path) -> int:
    """Disk space of the files that nobody else has a link to, and of the folders."""
    found = [path.lstat() for path in root.rglob("*")]
    return sum(entry.st_blocks * 512 for entry in found if entry.st_nlink == 1 or stat.S_ISDIR(entry.st_mode))
