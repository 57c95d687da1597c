"""Layers: folders of packages on top of the locked default environment, and the pointer to the one in use.

    environments/default-<digest>/   the locked base, never written again
    environments/layers/<id>/        a whole environment: files of what it was made from as hard links, additions beside
    environments/current             link to one of these; replaced in one step, and watched by workers

A layer is never changed once it is pointed to: cells that still run in it keep what they have.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evalctl.scratch import remove_tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ABOUT = ".layer.json"
_DEPTH = 5
"""So many layers can be gone back through; older ones are removed when the service starts."""

_NO_LINK = {errno.EPERM, errno.EACCES, errno.EXDEV, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS}
"""Somebody else's file, another file system, as many links as a file can have, or a file system without any."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """What a folder of packages was made of."""

    root: Path
    base: str
    """Name of the locked base that it stands on."""
    before: str | None = None
    """Name of the layer that was in use when it was made; None: the base."""
    groups: tuple[tuple[str, ...], ...] = ()
    """Requirements that were added, by the command that added them."""

    @property
    def requirements(self) -> list[str]:
        """All that was added, in one list."""
        return [line for group in self.groups for line in group]


class Layers:
    """The layers of one state folder."""

    def __init__(self, state: Path, base: Path) -> None:
        self._folder = state / "environments"
        self._layers = self._folder / "layers"
        self._base = base
        self.pointer = self._folder / "current"

    @property
    def base(self) -> Layer:
        """The locked environment as a layer."""
        return Layer(root=self._base, base=self._base.name)

    def current(self) -> Layer:
        """Layer in use: the base if there is no other."""
        return self._at(self.pointer.resolve()) or self.base

    def adopt(self) -> list[str]:
        """Before the service starts: let the pointer lead somewhere, drop what nobody can go back to.

        Returns the requirements that are lost, because they were added to another base.
        """
        layer = self.current()
        stale = layer.base != self._base.name
        self.point(self._base if stale else layer.root)
        kept = {layer.root.name for layer in self._history(layer)}
        for folder in self._layers.glob("*/"):
            if folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)
        return layer.requirements if stale else []

    def sweep(self) -> None:
        """Remove what a killed command left half made; only who holds the lock of the state folder may."""
        for left in self._layers.glob(".partial-*"):
            remove_tree(left)
        for left in self._folder.glob(".current-*"):
            left.unlink(missing_ok=True)

    def previous(self) -> Layer | None:
        """Layer that was in use before the current one; None: there was none."""
        current = self.current()
        if current.root == self._base:
            return None
        return self._at(self._layers / current.before) if current.before else self.base

    def point(self, root: Path) -> None:
        """Switch to the folder `root`, in one step."""
        self._folder.mkdir(parents=True, exist_ok=True)
        link = self._folder / f".current-{secrets.token_hex(4)}"
        link.symlink_to(os.path.relpath(root, self._folder))
        link.rename(self.pointer)

    @contextlib.contextmanager
    def building(self, source: Layer) -> Iterator[Path]:
        """A copy of `source` to install into; gone afterwards unless it was kept. Raises OSError."""
        partial = self._layers / f".partial-{secrets.token_hex(4)}"
        try:
            clone(source.root, partial)
            yield partial
        finally:
            remove_tree(partial)

    def keep(self, partial: Path, groups: tuple[tuple[str, ...], ...]) -> Layer:
        """Make what was built a layer of its own, to be pointed to next."""
        current = self.current()
        before = None if current.root == self._base else current.root.name
        about = {"base": self._base.name, "before": before, "groups": groups}
        (partial / _ABOUT).write_text(json.dumps(about))
        root = partial.with_name(secrets.token_hex(6))
        partial.rename(root)
        return Layer(root=root, base=self._base.name, before=before, groups=groups)

    def _history(self, layer: Layer | None) -> Iterator[Layer]:
        for _ in range(_DEPTH):
            if layer is None:
                return
            yield layer
            layer = self._at(self._layers / layer.before) if layer.before else None

    def _at(self, root: Path) -> Layer | None:
        try:
            about: dict[str, Any] = json.loads((root / _ABOUT).read_bytes())
        except (OSError, ValueError):
            return None
        groups = tuple(tuple(group) for group in about["groups"])
        return Layer(root=root, base=about["base"], before=about["before"], groups=groups)


def clone(source: Path, target: Path) -> None:
    """Copy a folder of packages with hard links for its files. Raises OSError.

    Sound because installers write new files and rename or unlink old ones, never into them (a test holds pip to it).
    """
    shutil.copytree(source, target, symlinks=True, copy_function=_link)
    for name in (".complete", _ABOUT):
        (target / name).unlink(missing_ok=True)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        shutil.copy2(source, target)
