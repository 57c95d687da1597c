"""Where an image comes from: words of the command line -> what skopeo reads, and a name for its environment."""

from __future__ import annotations

import re
import tarfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalctl.images.errors import ImageError
from evalctl.settings import is_loopback

if TYPE_CHECKING:
    from pathlib import Path

_REFERENCE = re.compile(
    r"(?:(?P<host>[\w.-]+\.[\w.-]+(?::\d+)?|localhost(?::\d+)?|[\w.-]+:\d+|\[[0-9a-f:]+\](?::\d+)?)/)?"
    r"(?P<path>[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


@dataclass(frozen=True, kw_only=True)
class Source:
    """One image, somewhere."""

    words: str
    """As it was asked for."""
    location: str
    """For skopeo, with its transport; "" for a folder that is a root already."""
    name: str
    """For the environment, unless another is asked for."""
    local: Path | None = None
    """The file or folder that `location` calls `source`: skopeo takes no path with a colon or a space."""
    root: Path | None = None
    insecure: bool = False
    """By http, or with a certificate that nobody knows: of a registry on this machine, or because it was asked for."""


def of_reference(words: str, *, insecure: bool) -> Source:
    """`python:3`, `ghcr.io/a/b@sha256:...`, `127.0.0.1:5000/tools`. Raises ImageError."""
    match = _REFERENCE.fullmatch(words.removeprefix("docker://"))
    if match is None:
        raise ImageError(f"{words} is not a reference to an image, such as python:3 or ghcr.io/team/tools:1.2")
    host, path, tag, digest = match["host"], match["path"], match["tag"], match["digest"]
    repository = f"{host}/{path}" if host else f"docker.io/{path if '/' in path else f'library/{path}'}"
    # skopeo takes a tag or a digest; the digest says more.
    version = f"@{digest}" if digest else f":{tag or 'latest'}"
    short = path.rpartition("/")[2]
    return Source(
        words=words,
        location=f"docker://{repository}{version}",
        name=f"{short}:{tag}" if tag and tag != "latest" else short,
        insecure=insecure or _is_local(host),
    )


def of_tar(file: Path) -> Source:
    """A tar that `docker save` or `skopeo copy ... oci-archive:` wrote. Raises ImageError."""
    try:
        with tarfile.open(file) as tar:
            names = set(tar.getnames())
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise ImageError(f"{file} cannot be read: {str(error).partition(chr(10))[0].rstrip(':')}") from None
    if "oci-layout" in names:
        transport = "oci-archive"
    elif "manifest.json" in names:
        transport = "docker-archive"
    else:
        raise ImageError(f"{file} is no image: it has neither manifest.json (docker save) nor oci-layout in it")
    return Source(words=str(file), location=f"{transport}:source", name=_plain(file.name.partition(".")[0]), local=file)


def of_folder(folder: Path) -> Source:
    """An OCI layout, or an unpacked root. Raises ImageError."""
    if (folder / "oci-layout").exists():
        return Source(words=str(folder), location="oci:source", name=_plain(folder.name), local=folder)
    if not any((folder / name).exists() for name in ("bin", "usr", "lib", "etc")):
        raise ImageError(f"{folder} is neither an OCI layout nor a root: it has no oci-layout, bin, usr, lib or etc")
    return Source(words=str(folder), location="", name=_plain(folder.name), root=folder)


def _is_local(host: str | None) -> bool:
    return host is not None and is_loopback(re.sub(r":\d+$", "", host).strip("[]"))


def _plain(name: str) -> str:
    """A name for an environment out of a file's."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", name).strip("._-") or "image"
