"""Small root file systems: a few of this machine's programs and the libraries that they need, nothing else."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path


def small_root(root: Path, *programs: str) -> Path:
    """Fill `root`. Its programs are in /usr/bin, and /bin is a link there."""
    for folder in ("etc", "usr/bin", "tmp"):
        (root / folder).mkdir(parents=True)
    (root / "bin").symlink_to("usr/bin")
    for name in programs:
        found = shutil.which(name)
        assert found is not None, name
        shutil.copy2(found, root / "usr" / "bin" / name)
        for library in _libraries(found):
            target = root / library.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(Path(library).resolve(), target)
    return root


def _libraries(program: str) -> list[str]:
    """Paths as the loader asks for them."""
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    return [word for line in listed.splitlines() for word in line.split() if word.startswith("/")]
