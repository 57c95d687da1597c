"""Small container images, made of what this machine has: a Python with its libraries, and a package of our own.

A root is a folder as an image would unpack to; a layout is an OCI image layout, which skopeo reads and pushes.
"""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

from benchmarks.layouts import ARCHITECTURE, make_layout, packed
from benchmarks.roots import PACKAGE, make_root, pythons

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ARCHITECTURE", "PACKAGE", "make_layout", "make_root", "packed", "pythons"]


def tar_of(*members: tuple[str, bytes | None, Callable[[tarfile.TarInfo], None]]) -> bytes:
    """A tar with members as named, each changed by its function: whatever a hostile layer may hold."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content, change in members:
            member = tarfile.TarInfo(name)
            member.size = len(content or b"")
            change(member)
            tar.addfile(member, io.BytesIO(content or b""))
    return buffer.getvalue()


def as_folder(member: tarfile.TarInfo) -> None:
    """For `tar_of`, like all below."""
    member.type, member.mode = tarfile.DIRTYPE, 0o755


def as_device(member: tarfile.TarInfo) -> None:
    member.type, member.devmajor, member.devminor, member.mode = tarfile.CHRTYPE, 1, 3, 0o666


def as_fifo(member: tarfile.TarInfo) -> None:
    member.type, member.mode = tarfile.FIFOTYPE, 0o666


def set_id(member: tarfile.TarInfo) -> None:
    member.mode = 0o6755


def link_to(target: str) -> Callable[[tarfile.TarInfo], None]:
    """A hard link."""

    def change(member: tarfile.TarInfo) -> None:
        member.type, member.linkname = tarfile.LNKTYPE, target

    return change


def symlink_to(target: str) -> Callable[[tarfile.TarInfo], None]:
    def change(member: tarfile.TarInfo) -> None:
        member.type, member.linkname = tarfile.SYMTYPE, target

    return change
