"""A layout, or a folder, -> a root that cells can have: nothing special in it, nothing that leads out."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalctl.images.errors import ImageError
from evalctl.images.layout import TAG, Layout

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from evalctl.images.tools import Tools

_SET_ID = stat.S_ISUID | stat.S_ISGID
_SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class Cleaned:
    """What `clean` found."""

    files_bytes: int
    left_out: int
    """Device nodes, sockets and pipes removed."""
    fingerprint: str
    """Over names, modes and contents."""


def unpack(layout: Layout, target: Path, tools: Tools, what: str, meanwhile: Callable[[], None]) -> None:
    """Unpack the layers of `layout` to `target`, a root. Raises ImageError.

    Rootless, also for root: files belong to whoever unpacks, and device nodes become empty files. umoci keeps inside of
    the root whatever a layer says; an image with paths that try to leave is refused all the same.
    """
    escapes: list[str] = []
    looking = threading.Thread(target=lambda: escapes.extend(_first(layout)), daemon=True)
    looking.start()
    bundle = target.parent / "bundle"
    image = f"{layout.folder.name}:{TAG}"
    try:
        tools.umoci(what, "unpack", "--rootless", "--image", image, str(bundle), meanwhile=meanwhile)
    finally:
        while looking.is_alive():
            looking.join(0.1)
            meanwhile()
        if escapes:  # whatever else went wrong: this is why
            raise ImageError(f"{what} is refused: a layer names paths outside of the image ({', '.join(escapes)})")
    (bundle / "rootfs").rename(target)


def _first(layout: Layout) -> list[str]:
    found: list[str] = []
    with suppress(Exception):  # a layer that cannot be read is umoci's to complain about
        for path in layout.escapes():
            found.append(path[:80])
            if len(found) == _SHOWN:
                break
    return found


def copy_root(source: Path, target: Path) -> None:
    """Copy an unpacked root; what is neither file, folder nor link is left out. Raises ImageError, OSError."""

    def special(folder: str, names: list[str]) -> list[str]:
        modes = [(name, os.lstat(os.path.join(folder, name)).st_mode) for name in names]  # noqa: PTH118
        return [name for name, mode in modes if not _is_plain(mode)]

    try:
        shutil.copytree(source, target, symlinks=True, ignore=special)
    except (OSError, shutil.Error) as error:
        reason = _one(error)
        if os.strerror(errno.ENOSPC) in reason:
            raise OSError(errno.ENOSPC, reason) from None
        raise ImageError(f"{source} cannot be copied: {reason}") from None


def clean(root: Path) -> Cleaned:
    """Take set-id bits and special files away; let its owner, who may have to remove it, into every folder."""
    digest, size, left_out = hashlib.sha256(), 0, 0
    root.chmod(root.stat().st_mode | 0o755)
    for folder, folders, files in os.walk(root):
        folders.sort()
        for name in sorted(folders + files):
            path = os.path.join(folder, name)  # noqa: PTH118  some ten thousand times
            mode = os.lstat(path).st_mode
            if not _is_plain(mode):
                os.unlink(path)  # noqa: PTH108
                left_out += 1
                continue
            mode = _tame(path, mode)
            digest.update(f"{os.path.relpath(path, root)}\0{mode:o}\0".encode(errors="surrogateescape"))
            size += _digest_content(path, mode, digest)
    return Cleaned(files_bytes=size, left_out=left_out, fingerprint=digest.hexdigest())


def _tame(path: str, mode: int) -> int:
    wanted = mode & ~_SET_ID | (stat.S_IRWXU if stat.S_ISDIR(mode) else 0)
    if wanted != mode and not stat.S_ISLNK(mode):
        os.chmod(path, stat.S_IMODE(wanted))  # noqa: PTH101
        return wanted
    return mode


def _digest_content(path: str, mode: int, digest: hashlib._Hash) -> int:
    """Feed a file's content or a link's target; the size of a file."""
    if stat.S_ISLNK(mode):
        digest.update(os.readlink(path).encode(errors="surrogateescape"))  # noqa: PTH115
    if not stat.S_ISREG(mode):
        return 0
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            digest.update(hashlib.file_digest(file, "sha256").digest())
            return file.tell()
    except PermissionError:  # an ordinary user's file without any permission
        return 0


def _is_plain(mode: int) -> bool:
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)


def _one(error: OSError | shutil.Error) -> str:
    """The first fault of several."""
    first = error.args[0]
    return str(first[0][2]) if isinstance(first, list) else str(error)
