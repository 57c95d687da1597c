"""`environments.toml` as `evalctl image` changes it: comments and all else stay, and it is never half written."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING, Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from evalctl.images.errors import ImageError
from sandbox.environments_file import EnvironmentsError, load

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from sandbox.environment import Environment

_HEAD = "# Environments by name. Workers follow changes of this file; docs/environments.md has the keys.\n"


class Registry:
    """The environments file of a state folder."""

    def __init__(self, file: Path, images: Path, default: Environment) -> None:
        self.file, self._images, self._default = file, images, default

    def load(self) -> dict[str, Environment]:
        """Environments as they are. Raises ImageError."""
        return self._loaded(self.file)

    def tables(self) -> Mapping[str, Any]:
        """What is written. Raises ImageError."""
        return self._document().unwrap()

    def users(self, digest: str) -> list[str]:
        """Environments that have this image."""
        tables = [(name, table) for name, table in self.tables().items() if isinstance(table, dict)]
        return [name for name, table in tables if str(table.get("image", "")).removeprefix("sha256:") == digest]

    @contextlib.contextmanager
    def changed(self, name: str, **keys: Any) -> Iterator[Environment]:
        """The environment as it will be with these keys (None: without); written when the block ends well.

        Raises ImageError. Nobody else changes the file meanwhile.
        """
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self._locked():
            document = self._document()
            _set(document, name, keys)
            partial = self.file.with_name(f".{self.file.name}.partial")
            try:
                partial.write_text(tomlkit.dumps(document))
                yield self._loaded(partial)[name]
                partial.rename(self.file)
            finally:
                partial.unlink(missing_ok=True)

    def forget(self, name: str) -> None:
        """Take an environment out of the file."""
        with self._locked():
            document = self._document()
            document.remove(name)
            partial = self.file.with_name(f".{self.file.name}.partial")
            partial.write_text(tomlkit.dumps(document))
            partial.rename(self.file)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self.file.parent, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _loaded(self, file: Path) -> dict[str, Environment]:
        try:
            return load(file, self._images, self._default)
        except EnvironmentsError as error:
            raise ImageError(str(error).replace(str(file), str(self.file))) from None

    def _document(self) -> tomlkit.TOMLDocument:
        try:
            return tomlkit.parse(self.file.read_text() if self.file.exists() else _HEAD)
        except (TOMLKitError, UnicodeDecodeError) as error:
            raise ImageError(f"{self.file} is not TOML: {error}") from None


def _set(document: tomlkit.TOMLDocument, name: str, keys: Mapping[str, Any]) -> None:
    table: Any = document.get(name)
    if table is None:
        table = tomlkit.table()
        document.append(tomlkit.key([name]) if "." in name else name, table)
    if "image" in keys:
        table.pop("directory", None)
    for key, value in keys.items():
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value
