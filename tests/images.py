"""Small container images, made of what this machine has: a Python with its libraries, and a package of our own.

A root is a folder as an image would unpack to; a layout is an OCI image layout, which skopeo reads and pushes.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
PACKAGE = "only_in_the_image"
_LEFT_OUT = {"__pycache__", "test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "pydoc_data",
             "site-packages", "distutils"}  # fmt: skip
_LIBRARY = re.compile(r"(?:=> )?(/\S+) \(0x")
_PROGRAMS = ("sh", "cat", "sleep", "env")
LAYER, ZSTD_LAYER = (f"application/vnd.oci.image.layer.v1.tar+{kind}" for kind in ("gzip", "zstd"))


def pythons() -> dict[str, Path]:
    """Interpreters of this machine by version, one of each: ours, and those installed beside it."""
    found: dict[str, Path] = {}
    places = [Path(sys.base_prefix), *sorted(Path(sys.base_prefix).parent.glob("3.*")), Path("/usr")]
    for prefix in places:
        for python in sorted(prefix.glob("bin/python3.*[0-9]")):
            version = python.name.removeprefix("python")
            if int(version.partition(".")[2] or 0) >= 8:
                found.setdefault(version, python.resolve())
    return dict(sorted(found.items(), key=lambda item: int(item[0].partition(".")[2])))


def make_root(root: Path, python: Path | None = None, *, package: str = "VALUE = 42\n") -> Path:
    """A root with this interpreter in /usr/local, its standard library, a shell, and the package `PACKAGE`."""
    binary = python or Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}").resolve()
    version = f"python{binary.name.removeprefix('python')}"
    home = root / "usr/local"
    source = binary.parent.parent / "lib" / version
    shutil.copytree(source, home / "lib" / version, copy_function=_link, ignore=_ignored)
    (home / "bin").mkdir(parents=True)
    _link(binary, home / "bin" / version)
    for name in ("python3", "python"):
        (home / "bin" / name).symlink_to(version)
    site = home / "lib" / version / "site-packages"
    site.mkdir()
    (site / f"{PACKAGE}.py").write_text(package)
    (root / "usr/bin").mkdir()
    (root / "bin").symlink_to("usr/bin")
    programs = [Path(shutil.which(name) or name) for name in _PROGRAMS]
    for program in programs:
        _link(program.resolve(), root / "usr/bin" / program.name)
    extensions = [path for path in (home / "lib").rglob("*.so") if "ctypes_test" not in path.name]
    for library in _libraries([binary, *programs, *extensions]):
        target = root / library.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        _link(Path(library).resolve(), target)
    (root / "etc").mkdir()
    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (root / "etc/only-in-the-image").write_text("yes\n")
    (root / "tmp").mkdir(mode=0o1777)
    return root


def _ignored(_: str, names: list[str]) -> list[str]:
    return [name for name in names if name in _LEFT_OUT or name.startswith("config-") or name.endswith(".a")]


def _link(source: os.PathLike[str] | str, target: os.PathLike[str] | str) -> None:
    """A hard link, or a copy where there can be none: another file system, a file of somebody else's."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy(source, target)


def _libraries(binaries: Iterable[Path]) -> set[str]:
    """What the loader would load, and the loader."""
    done = subprocess.run(["ldd", *map(str, binaries)], capture_output=True, text=True, check=False)
    found = set(_LIBRARY.findall(done.stdout))
    # glibc loads this one by itself when a thread ends.
    return found | {str(path) for path in {Path(one).parent / "libgcc_s.so.1" for one in found} if path.exists()}


def packed(root: Path) -> bytes:
    """A root as a tar, owned by root."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for entry in sorted(root.iterdir()):
            tar.add(entry, arcname=entry.name, filter=_rooted)
    return buffer.getvalue()


def _rooted(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member


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


def make_layout(
    folder: Path,
    *layers: bytes,
    tag: str = "latest",
    env: Mapping[str, str] | None = None,
    workdir: str = "",
    architecture: str = ARCHITECTURE,
    zstd: bool = False,
) -> Path:
    """An OCI layout of an image with these layers (tars)."""
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True, exist_ok=True)

    def blob(data: bytes, kind: str) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data)}

    path = "/usr/local/bin:/usr/bin:/bin"
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Env": [f"{k}={v}" for k, v in {"PATH": path, **(env or {})}.items()], "WorkingDir": workdir},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(one).hexdigest()}" for one in layers]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"),
        "layers": [blob(_pressed(one, zstd=zstd), ZSTD_LAYER if zstd else LAYER) for one in layers],
    }
    described = blob(json.dumps(manifest).encode(), str(manifest["mediaType"]))
    described["annotations"] = {"org.opencontainers.image.ref.name": tag}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [described]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return folder


def _pressed(layer: bytes, *, zstd: bool) -> bytes:
    if zstd:
        return subprocess.run(["zstd", "-1", "-c"], input=layer, capture_output=True, check=True).stdout
    return gzip.compress(layer, compresslevel=1, mtime=0)


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
