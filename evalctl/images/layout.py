"""An OCI layout on this disk: its one image's config and layers, read as data."""

from __future__ import annotations

import json
import platform
import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from evalctl.images.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TAG = "image"
_VERSIONS = (1, 2)
"""Of manifests, those of Docker and of OCI."""
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}

_WHITEOUTS_OF_FOLDERS = {".wh.", ".wh..", ".wh..."}
"""They would remove the folder that they are in, or the one above."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """What an image says of itself."""

    architecture: str
    env: Mapping[str, str]
    workdir: str


class Layout:
    """A folder that `skopeo copy ... oci:folder:image` filled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        index = json.loads((folder / "index.json").read_text())
        self._manifest = self._blob(index["manifests"][0]["digest"])

    def config(self, what: str) -> Config:
        """Raise ImageError if the image is made for another machine."""
        found = self._blob(self._manifest["config"]["digest"])
        system, architecture = found.get("os", "linux"), found.get("architecture", "")
        ours = machine()
        if (system, architecture) != ("linux", ours):
            raise ImageError(f"{what} is made for {system}/{architecture}; this machine is linux/{ours}")
        inner = found.get("config") or {}
        pairs = [pair.partition("=") for pair in inner.get("Env") or ()]
        return Config(
            architecture=architecture,
            env={name: value for name, _, value in pairs if name.isidentifier() and name.isascii()},
            workdir=workdir_of(inner.get("WorkingDir") or ""),
        )

    @property
    def has_zstd(self) -> bool:
        """Whether a layer is pressed in a way that umoci does not know."""
        return any("zstd" in layer["mediaType"] for layer in self._manifest["layers"])

    def escapes(self) -> Iterator[str]:
        """Paths that would lead out of the image, were they followed."""
        for layer in self._manifest["layers"]:
            with tarfile.open(self._path(layer["digest"]), mode="r|*") as tar:
                for member in tar:
                    paths = [member.name, *([member.linkname] if member.islnk() else ())]
                    yield from (path for path in paths if _leads_out(path))

    def _path(self, digest: str) -> Path:
        return self.folder / "blobs" / digest.replace(":", "/")

    def _blob(self, digest: str) -> Any:
        return json.loads(self._path(digest).read_text())


def machine() -> str:
    """Architecture of this machine, as images call it."""
    return _ARCHITECTURES.get(platform.machine(), platform.machine())


def workdir_of(path: str) -> str:
    """A working directory that a cell can have, or "": / and what names no folder are none."""
    plain = str(PurePosixPath("/", path)) if path else "/"
    return "" if plain == "/" or ".." in PurePosixPath(plain).parts or "\0" in plain else plain


def _leads_out(path: str) -> bool:
    if path.rpartition("/")[2] in _WHITEOUTS_OF_FOLDERS:
        return True
    depth = 0
    for part in PurePosixPath(path.lstrip("/")).parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            return True
    return False


def layer_bytes(manifest: bytes, what: str) -> int:
    """Size of the layers of a manifest, as they come; 0 where it does not say (an index of manifests).

    Raises ImageError: it is no manifest.
    """
    try:
        found = json.loads(manifest)
        if found["schemaVersion"] in _VERSIONS:
            return sum(layer["size"] for layer in found.get("layers", ()))
    except (ValueError, LookupError, TypeError, AttributeError):
        pass
    raise ImageError(f"what is there for {what} is no manifest of an image")
