"""Where blocks go instead of Redis, if an operator says so: a folder or an object store, by fsspec."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import fsspec

from jobs.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")


def require_known(url: str) -> None:
    """Raise ValueError if there is nothing here that could speak to such a store. Connects to none."""
    try:
        for part in url.split("::"):
            fsspec.get_filesystem_class(fsspec.utils.get_protocol(part) if "://" in part or part == url else part)
    except (ImportError, ValueError) as error:
        raise ValueError(f"cannot be used: {error}") from None


class Archive:
    """Objects below one URL. fsspec's own calls block, so they run in threads."""

    def __init__(self, url: str) -> None:
        self._fs, self._root = fsspec.core.url_to_fs(url)
        self._local = "file" in self._fs.protocol

    async def put(self, name: str, data: bytes) -> None:
        """Write an object, whole or not at all. The same name gets the same bytes: twice is once."""
        await _threaded(lambda: self._put(self._path(name), data))

    async def get(self, name: str) -> bytes:
        """Read an object."""
        return await _threaded(lambda: bytes(self._fs.cat_file(self._path(name))))

    async def remove(self, batch_id: str) -> None:
        """Remove all objects of a batch; none is fine."""
        await _threaded(lambda: self._remove(self._path(batch_id)))

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _put(self, path: str, data: bytes) -> None:
        if not self._local:
            self._fs.pipe_file(path, data)
            return
        # An object store shows a whole object or none; a file has to be moved into its place for that.
        self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        self._fs.pipe_file(f"{path}.part", data)
        self._fs.mv(f"{path}.part", path)

    def _remove(self, path: str) -> None:
        if self._fs.exists(path):
            self._fs.rm(path, recursive=True)


async def _threaded(work: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(work)
    except Exception as error:  # every file system has its own
        # Not its text: that may hold credentials.
        raise ArchiveError(f"the batch store failed: {type(error).__name__}") from error
