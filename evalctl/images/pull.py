"""From a source to an unpacked image in the store: pull, look, unpack, clean. Nothing is switched here."""

from __future__ import annotations

import errno
import hashlib
import shutil
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from evalctl.images.errors import ImageError
from evalctl.images.layout import TAG, Config, Layout, layer_bytes, machine
from evalctl.images.store import Image
from evalctl.images.tools import Tools
from evalctl.images.unpack import clean, copy_root, unpack

if TYPE_CHECKING:
    from pathlib import Path

    from evalctl.images.progress import Steps
    from evalctl.images.source import Source
    from evalctl.images.store import Store

_ROOM = 4
"""Times the size of what is pulled: that, and three times as much unpacked."""


def pull(source: Source, store: Store, state: Path, steps: Steps) -> Image:
    """Have the image in the store; at once if it is there. Raises ImageError."""
    try:
        with store.incoming() as folder:
            if source.root is not None:
                return _copied(source, source.root, folder, store, steps)
            return _pulled(source, folder, store, Tools(state, folder), steps)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ImageError(f"the disk is full: {source.words} needs more room below {store.folder}") from None
        raise


def _copied(source: Source, root: Path, folder: Path, store: Store, steps: Steps) -> Image:
    if store.folder.resolve().is_relative_to(root.resolve()):
        raise ImageError(f"{source.words} holds {store.folder}, where images are: it would be copied into itself")
    unpacked = folder / "image"
    unpacked.mkdir()
    with steps.step(f"copying {source.words}"):
        copy_root(root, unpacked / "rootfs")
        image = _cleaned(source, unpacked, Config(architecture=machine(), env={}, workdir=""), digest="")
    image = replace(image, digest=image.fingerprint)
    return _kept(store, unpacked, image)


def _pulled(source: Source, folder: Path, store: Store, tools: Tools, steps: Steps) -> Image:
    what = source.words
    if source.local is not None:
        (folder / "source").symlink_to(source.local)
    flags = ["--tls-verify=false"] if source.insecure else []
    with steps.step(f"looking for {what}"):
        raw = tools.skopeo(what, "inspect", "--raw", *flags, source.location)
    digest = hashlib.sha256(raw).hexdigest()
    if (known := store.get(digest)) is not None:
        return known
    size = layer_bytes(raw, what)
    _require_room(what, store, size)
    layout = folder / "layout"
    with steps.step(f"pulling {what}", total_bytes=size, grows=layout) as look:
        copy_flags = ["--src-tls-verify=false"] if source.insecure else []
        target = f"oci:{layout.name}:{TAG}"
        tools.skopeo(what, "copy", "-q", *copy_flags, _pinned(source, digest), target, meanwhile=look, grows=layout)
    pulled = Layout(layout)
    config = pulled.config(what)
    if pulled.has_zstd:
        pulled = _gzipped(pulled, folder, tools, what, steps)
    unpacked = folder / "image"
    unpacked.mkdir()
    with steps.step(f"unpacking {what}", total_bytes=3 * size, grows=folder / "bundle") as look:
        unpack(pulled, unpacked / "rootfs", tools, what, look)
    with steps.step("looking through it"):
        image = _cleaned(source, unpacked, config, digest=digest)
    return _kept(store, unpacked, image)


def _gzipped(layout: Layout, folder: Path, tools: Tools, what: str, steps: Steps) -> Layout:
    """The same layers, pressed by gzip: umoci knows no zstd, and skopeo does not change one into the other."""
    with steps.step("pressing its layers anew"):
        tools.skopeo(what, "copy", "-q", "--dest-decompress", f"oci:{layout.folder.name}:{TAG}", "dir:plain")
        tools.skopeo(what, "copy", "-q", "dir:plain", f"oci:gzipped:{TAG}")
    return Layout(folder / "gzipped")


def _pinned(source: Source, digest: str) -> str:
    """The source by its digest: a tag may have moved since we looked."""
    if not source.location.startswith("docker://"):
        return source.location
    repository = source.location.partition("@")[0]
    head, colon, tag = repository.rpartition(":")
    return f"{head if colon and '/' not in tag else repository}@sha256:{digest}"


def _require_room(what: str, store: Store, size: int) -> None:
    free = shutil.disk_usage(store.folder).free
    if size * _ROOM > free:
        raise ImageError(
            f"the disk is full: {what} needs about {_mib(size * _ROOM)} below {store.folder}, {_mib(free)} are free"
        )


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.0f} MiB"


def _cleaned(source: Source, unpacked: Path, config: Config, *, digest: str) -> Image:
    root = unpacked / "rootfs"
    if config.workdir:  # as a container's runtime would
        _make_workdir(root, config.workdir)
    found = clean(root)
    return Image(
        digest=digest,
        reference=source.words,
        architecture=config.architecture,
        env=config.env,
        workdir=config.workdir,
        unpacked_bytes=found.files_bytes,
        left_out=found.left_out,
        fingerprint=found.fingerprint,
        pulled_at=time.time(),
    )


def _make_workdir(root: Path, workdir: str) -> None:
    """Make the working directory where the image has none, but never through a link."""
    path = root
    for part in workdir.strip("/").split("/"):
        path /= part
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            return
        path.mkdir(exist_ok=True)


def _kept(store: Store, unpacked: Path, image: Image) -> Image:
    if store.get(image.digest) is None:
        store.add(unpacked, image)
    return image
