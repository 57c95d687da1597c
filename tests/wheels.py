"""Wheels of our own making: nothing comes from the network."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def wheel(
    folder: Path, name: str, version: str, files: Mapping[str, bytes] | None = None, *, requires: Sequence[str] = ()
) -> Path:
    """A wheel of pure Python; by default one module that knows its `VERSION`."""
    info = f"{name}-{version}.dist-info"
    contents = dict(files) if files is not None else {f"{name}.py": f"VERSION = {version!r}\n".encode()}
    needs = "".join(f"Requires-Dist: {need}\n" for need in requires)
    contents[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}".encode()
    contents[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    records = [f"{path},sha256={_digest(data)},{len(data)}" for path, data in contents.items()]
    contents[f"{info}/RECORD"] = "\n".join([*records, f"{info}/RECORD,,", ""]).encode()
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(made, "w") as archive:
        for path, data in contents.items():
            archive.writestr(path, data)
    return made


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
