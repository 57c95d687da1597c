"""The root folder of a jail out of an unpacked image: what is mounted, what is copied, what is left out.

Everything of the image is seen read-only. Not seen are its /proc, /sys, /dev, /run and /tmp, which no container would
see either, and files in its /etc that not everybody may read.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.errors import SandboxUnavailable
from sandbox.host.binds import Bind
from sandbox.host.image import on_host, resolve

if TYPE_CHECKING:
    from collections.abc import Iterator

ORIGIN = "/evalpool/origin"
"""In the jail: what the image has in its working directory, which the cell's own covers."""
MOST_ORIGINS = 256
"""Each cell makes a link to each of them."""
_OURS = frozenset({"proc", "sys", "dev", "run", "tmp", "etc", "evalpool"})
_COPIED_BYTES = 1 << 20


def furnish(path: Path, image: Path, workdir: str) -> tuple[Bind, ...]:
    """Fill the root folder `path` of a jail for `image`; what has to be mounted. Raises SandboxUnavailable."""
    if not image.is_dir():
        raise SandboxUnavailable(f"there is no unpacked image at {image} (evalctl image list)")
    if (image / "etc").is_dir() and not (image / "etc").is_symlink():
        _copy_etc(image / "etc", path / "etc")
    binds = list(_entries(path, image, workdir))
    if not (image / "var").is_symlink():
        binds += _var(path, image / "var", workdir)
    binds += _workdir(path, image, workdir)
    return tuple(binds)


def _entries(path: Path, image: Path, workdir: str) -> Iterator[Bind]:
    for entry in sorted(image.iterdir()):
        ours = entry.name in _OURS or (entry.name == "var" and not entry.is_symlink())
        if not ours and (bind := _entry(path, entry, f"/{entry.name}", workdir)):
            yield bind


def _var(path: Path, var: Path, workdir: str) -> Iterator[Bind]:
    """The image's /var, but with a /var/tmp that can be written to."""
    (path / "var").mkdir()
    (path / "var/tmp").symlink_to("/tmp")
    for entry in sorted(var.iterdir()) if var.is_dir() else ():
        if entry.name != "tmp" and (bind := _entry(path, entry, f"/var/{entry.name}", workdir)):
            yield bind


def _entry(path: Path, entry: Path, inside: str, workdir: str) -> Bind | None:
    """Bring one entry of the image in: as it is if it is a link, by copy if small, else by a mount."""
    target = path / inside.lstrip("/")
    if inside == workdir:
        return None
    if entry.is_symlink():
        target.symlink_to(entry.readlink())
    elif entry.is_dir():
        if not os.access(entry, os.R_OK) or any(entry.iterdir()):
            return Bind(source=str(entry), target=inside, hidden=True)
        target.mkdir()
    elif entry.is_file() and entry.stat().st_mode & 0o004:
        if entry.stat().st_size > _COPIED_BYTES:
            return Bind(source=str(entry), target=inside, hidden=True)
        shutil.copy(entry, target)
    return None


def _workdir(path: Path, image: Path, workdir: str) -> list[Bind]:
    """Make sure that there is a place to mount the working directory at, and mount what it covers elsewhere."""
    found = resolve(image, workdir)
    if found is None:
        top = Path(workdir).parts[1]
        if (image / top).is_symlink() or ((image / top).is_dir() and any((image / top).iterdir())):
            raise SandboxUnavailable(f"the image has no folder {workdir} to be the working directory")
        (path / workdir.lstrip("/")).mkdir(parents=True, exist_ok=True)
        return []
    if str(found) != workdir or not on_host(image, found).is_dir():
        raise SandboxUnavailable(f"{workdir} is not a folder of the image, or leads through a link")
    if str(found.parent) in ("/", "/var"):  # of a folder of ours, so nothing is mounted there
        (path / workdir.lstrip("/")).mkdir(exist_ok=True)
    covered = len(list(on_host(image, found).iterdir()))
    if covered > MOST_ORIGINS:
        raise SandboxUnavailable(f"{workdir} of the image holds {covered} entries; {MOST_ORIGINS} can be shown")
    return [Bind(source=str(on_host(image, found)), target=ORIGIN, hidden=True)] if covered else []


def _copy_etc(source: Path, target: Path) -> None:
    """Copy what everybody may read; the rest is nobody's business (shadow)."""
    for folder, folders, files in os.walk(source):
        here = target / Path(folder).relative_to(source)
        here.mkdir(exist_ok=True)
        for name in files + [name for name in folders if Path(folder, name).is_symlink()]:
            entry = Path(folder, name)
            if entry.is_symlink():
                (here / name).symlink_to(entry.readlink())
            elif entry.is_file() and entry.stat().st_mode & 0o004:
                shutil.copyfile(entry, here / name)
