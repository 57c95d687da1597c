"""Whether a program's files have room in a cell: known before one is used up for what it cannot hold."""

from __future__ import annotations

import errno
import mmap
from typing import TYPE_CHECKING

from sandbox.errors import JailFailed, NotSupported

if TYPE_CHECKING:
    from sandbox.config import CellLimits
    from sandbox.errors import SandboxError
    from sandbox.spec import RunSpec

_OWN_INODES = 4
"""A cell's tmpfs itself, and in it the working directory, /tmp and /dev/shm."""
_NO_ROOM = errno.ENOSPC, errno.EDQUOT, errno.EFBIG


def require_room(spec: RunSpec, limits: CellLimits) -> None:
    """Raise NotSupported if the program and its files are more than a cell's disk holds."""
    sizes = [len(spec.code.encode()), *map(len, spec.files.values())]
    pages = sum(-(-size // mmap.PAGESIZE) for size in sizes)
    if max(sizes) > limits.file_bytes:
        raise NotSupported(f"a file is larger than the {limits.file_bytes} bytes that one may have (file_bytes)")
    if pages * mmap.PAGESIZE > limits.disk_bytes:
        raise NotSupported(f"the files need more than the {limits.disk_bytes} bytes of its disk (disk_bytes)")
    if _OWN_INODES + len(sizes) + len(_folders(spec)) > limits.inodes:
        raise NotSupported(f"the files and folders are more than the {limits.inodes} that its disk holds (inodes)")


def unplaced(code: int) -> SandboxError:
    """What it means that a cell could not take its job, by the error's number."""
    if code in _NO_ROOM:  # an image's own files are on the disk too
        return NotSupported("the files have no room on its disk (file_bytes, disk_bytes, inodes)")
    return JailFailed(f"the cell could not take its job: {errno.errorcode.get(code, 'an error of ours')}")


def _folders(spec: RunSpec) -> set[str]:
    found = set()
    for path in spec.files:
        while "/" in path:
            path = path.rpartition("/")[0]  # noqa: PLW2901
            found.add(path)
    return found
