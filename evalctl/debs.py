"""Tools that come as Debian packages (promtool, skopeo, ...), without root: unpacked into the state folder.

A tool on PATH is used as it is. Otherwise apt-get, which needs root only to install, downloads the package and what
it needs beyond this machine's own packages, and dpkg unpacks them below `STATE/tools/<package>`.
Standard library only; what apt prints is in `STATE/tools/<package>.log`.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TextIO

PACKAGES = {
    "docker-registry": "docker-registry",
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "skopeo": "skopeo",
    "umoci": "umoci",
}
"""Tool -> the package that it comes in, where they differ or have been tried."""
_BIN = ("usr/bin", "bin", "usr/sbin", "sbin")


class DebsError(Exception):
    """A tool can not be had; the message is one sentence for people."""


def tool(state: Path, name: str) -> str:
    """Path of the program `name`: on PATH, or unpacked from its package now. Raises DebsError."""
    if found := shutil.which(name):
        return found
    package = PACKAGES.get(name, name)
    root = unpacked(state, package, wanted_by=name)
    for folder in _BIN:
        if (root / folder / name).exists():
            return str(_runnable(root, root / folder / name))
    raise DebsError(f"the package {package} holds no {name}")


def unpacked(state: Path, package: str, *, wanted_by: str | None = None) -> Path:
    """Folder that holds the package and what it needs beyond this machine's own. Made once. Raises DebsError."""
    tools = state.resolve() / "tools"
    root = tools / package
    if root.is_dir():
        return root
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise DebsError(f"{wanted_by or package} is not on PATH and this machine has no apt-get; install it by hand")
    tools.mkdir(parents=True, exist_ok=True)
    with (tools / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.is_dir():
            print(f"evalpool: unpacking {package} into {root}", file=sys.stderr, flush=True)
            _unpack(tools, package)
    return root


def _unpack(tools: Path, package: str) -> None:
    """Download below `tools` and unpack beside, then rename: the folder is there whole or not at all."""
    partial = tools / f"{package}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    root = partial / "root"
    root.mkdir(parents=True)
    with (tools / f"{package}.log").open("w") as log:
        for archive in _download(tools, package, partial / "cache", log):
            _run(["dpkg", "-x", str(archive), str(root)], log, f"{archive.name} could not be unpacked")
    root.rename(tools / package)
    shutil.rmtree(partial)


def _download(tools: Path, package: str, cache: Path, log: TextIO) -> Iterator[Path]:
    """Archives of the package and of what this machine lacks for it. apt's own state stays untouched."""
    lists = tools / "apt"
    for folder in (lists / "lists/partial", cache / "archives/partial"):
        folder.mkdir(parents=True, exist_ok=True)
    apt = ["apt-get", "-q", "-y", "-o", f"Dir::State={lists}", "-o", "Dir::State::status=/var/lib/dpkg/status"]
    apt += ["-o", f"Dir::Cache={cache}", "-o", "Debug::NoLocking=1"]
    if os.geteuid() == 0:
        apt += ["-o", "APT::Sandbox::User=root"]  # apt's own user can not write below the state folder
    install = [*apt, "install", "--download-only", "--no-install-recommends", package]
    _run([*apt, "update"], log, "apt-get update failed")
    _run(install, log, f"apt-get cannot download {package}")
    yield from sorted((cache / "archives").glob("*.deb"))


def _run(argv: Sequence[str], log: TextIO, what: str) -> None:
    log.flush()
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False)
    if done.returncode != 0:
        raise DebsError(f"{what}; see {log.name}")


def _runnable(root: Path, program: Path) -> Path:
    """Program that finds the libraries unpacked beside it: itself if there are none, else a wrapper."""
    libraries = sorted({str(file.parent.relative_to(root)) for file in root.glob("**/lib*.so*")})
    if not libraries:
        return program
    wrapper = root / "evalpool" / program.name
    if not wrapper.exists():
        wrapper.parent.mkdir(exist_ok=True)
        search = ":".join(f"$root/{folder}" for folder in libraries)
        text = '#!/bin/sh\nroot=$(dirname "$(dirname "$(readlink -f "$0")")")\n'
        text += f'LD_LIBRARY_PATH="{search}" exec "$root/{program.relative_to(root)}" "$@"\n'
        partial = wrapper.with_suffix(".partial")
        partial.write_text(text)
        partial.chmod(0o755)
        partial.rename(wrapper)
    return wrapper


def main() -> None:
    """`python3 -m evalctl.debs STATE TOOL...`: print the path of each tool, unpacking what is missing."""
    parser = argparse.ArgumentParser(prog="evalctl.debs")
    parser.add_argument("state", type=Path)
    parser.add_argument("tool", nargs="+")
    arguments = parser.parse_args()
    try:
        for name in arguments.tool:
            print(tool(arguments.state, name))
    except DebsError as error:
        sys.exit(f"evalpool: {error}")


if __name__ == "__main__":
    main()
