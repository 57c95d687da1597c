"""Roots as container images unpack to: a Python of this machine with its libraries, and a package of our own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

PACKAGE = "only_in_the_image"
_LEFT_OUT = {"__pycache__", "test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "pydoc_data",
             "site-packages", "dist-packages", "distutils"}  # fmt: skip
_LIBRARY = re.compile(r"(?:=> )?(/\S+) \(0x")
_PROGRAMS = ("sh", "cat", "sleep", "env")


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
    (site.parent / "dist-packages").symlink_to(site.name)  # where Debian's Python looks
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
