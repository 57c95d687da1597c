"""Small container images, made of a root: OCI image layouts, which skopeo reads and pushes."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import platform
import subprocess
import tarfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
LAYER, ZSTD_LAYER = (f"application/vnd.oci.image.layer.v1.tar+{kind}" for kind in ("gzip", "zstd"))


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
