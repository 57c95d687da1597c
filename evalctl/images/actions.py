"""What `evalctl image` does, in words that people use: add, use, remove, verify."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evalctl import bootstrap
from evalctl.images import serving
from evalctl.images.attempt import attempt
from evalctl.images.errors import ImageError
from evalctl.images.guess import keys_for, preloads
from evalctl.images.pull import pull
from evalctl.images.registry import Registry
from evalctl.images.store import Store
from evalctl.images.unpack import clean
from sandbox import bare_environment, default_environment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalctl.images.progress import Steps
    from evalctl.images.source import Source
    from evalctl.images.store import Image
    from evalctl.settings import Settings
    from sandbox import Environment

HOST = "host"
"""Instead of an image: this machine's own programs."""


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What the operator says of an environment; what is not said is found out."""

    name: str | None = None
    filename: str | None = None
    command: str | None = None
    preload: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Switched:
    """An environment that runs in another image now."""

    name: str
    environment: Environment
    took_s: float
    served: serving.Served | None
    """None: nobody waited."""


class Images:
    """The images and environments of one state folder."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._state = settings, settings.state_dir
        self.store = Store(settings.state_dir / "images")
        root = settings.environment_root or bootstrap.environment_root(settings.state_dir)
        default = default_environment(root) if root.exists() else bare_environment()
        self.registry = Registry(settings.environments_path, self.store.folder, default)

    def add(self, source: Source, wishes: Wishes, steps: Steps) -> tuple[Image, Switched]:
        """Pull an image and register an environment over it. Raises ImageError; nothing is changed then."""
        name = wishes.name or source.name
        if name == HOST:
            raise ImageError(f"an environment cannot be called {HOST}, which means this machine's programs: --name")
        began = time.monotonic()
        before = {image.digest for image in self.store.every()}
        image = pull(source, self.store, self._state, steps)
        try:
            with self.store.using(image.digest):
                return image, self._switch(name, image, self._keys(name, image, wishes), steps, began)
        except BaseException:
            if image.digest not in before and not self.registry.users(image.digest):
                with contextlib.suppress(ImageError), self.store.removing(image.digest):  # unless another uses it now
                    pass
            raise

    def find(self, word: str) -> Image:
        """The image of this environment, or with this digest or reference. Raises ImageError."""
        table = self.registry.tables().get(word, {})
        return self.store.find(table.get("image", word) if isinstance(table, dict) else word)

    def _keys(self, name: str, image: Image, wishes: Wishes) -> dict[str, Any]:
        """What to write of the environment: what was written stays, unless something else is wished."""
        written, root = self.registry.tables().get(name, {}), self.store.root(image.digest)
        keys: dict[str, Any] = {}
        if "command" not in written or wishes.command or wishes.filename:
            keys = keys_for(image, root, filename=wishes.filename, command=wishes.command)
        if wishes.preload or "preload" not in written:
            keys["preload"] = list(wishes.preload) or preloads(root) or None
        return keys

    def use(self, word: str, name: str, steps: Steps) -> Switched:
        """Have an environment run in an image that is here, or in none. Raises ImageError."""
        began = time.monotonic()
        if word != HOST:
            image = self.find(word)
            with self.store.using(image.digest):
                return self._switch(name, image, self._keys(name, image, Wishes()), steps, began)
        if name not in self.registry.load():
            raise ImageError(f"there is no environment {name}")
        return self._switch(name, None, {}, steps, began)

    def remove(self, word: str, *, force: bool) -> Image:
        """Remove an image; by force its environments as well. Raises ImageError."""
        image = self.find(word)
        with self.store.removing(image.digest):
            users = self.registry.users(image.digest)
            if users and not force:
                raise ImageError(
                    f"{image.short} is in use by {', '.join(users)}; --force removes those environments too"
                )
            serving.require_answer(self._settings)
            for name in users:
                self.registry.forget(name)
            if serving.wait_for(self._settings, serving.nowhere(image.digest)) is False:
                raise ImageError(f"workers still serve {image.short} after a minute; their logs say why")
        return image

    def verify(self, word: str) -> str:
        """Look whether an image is what was unpacked, and runs programs; in words. Raises ImageError."""
        image = self.find(word)
        with self.store.using(image.digest):
            return self._verified(image)

    def _verified(self, image: Image) -> str:
        if clean(self.store.root(image.digest)).fingerprint != image.fingerprint:
            raise ImageError(f"{image.short} ({image.reference}) is not what was unpacked any more: remove it, pull it")
        environments = self.registry.load()
        users = self.registry.users(image.digest)
        for name in users:
            attempt(environments[name], self._state)
        ran = f"programs run in {', '.join(users)}" if users else "no environment uses it"
        return f"{image.short} ({image.reference}) is as it was unpacked; {ran}"

    def _switch(self, name: str, image: Image | None, keys: dict[str, Any], steps: Steps, began: float) -> Switched:
        digest = None if image is None else image.digest
        with self.registry.changed(name, image=digest, **keys) as environment:
            with steps.step("running a first program in it"):
                try:
                    attempt(environment, self._state)
                except ImageError as error:
                    what = "this machine" if image is None else image.reference
                    raise ImageError(f"{what} is not taken: {error}") from None
        served = None
        if digest is not None:
            with steps.step("waiting for the workers"):
                served = self._arrived(name, digest)
        return Switched(name=name, environment=environment, took_s=time.monotonic() - began, served=served)

    def _arrived(self, name: str, digest: str) -> serving.Served:
        """Wait for the workers. Raises ImageError: it is another image by now."""

        def overtaken() -> bool:
            return name not in self.registry.users(digest)

        served = serving.arrived_everywhere(self._settings, name, digest, overtaken)
        if served is not serving.Served.EVERYWHERE and overtaken():
            raise ImageError(f"environment {name} was changed again meanwhile, by another command or by hand")
        return served
