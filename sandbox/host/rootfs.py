"""The root folder of a jail: mount points, a minimal /etc and /dev, the guest code, and what is mounted where.

What is mounted is the host's own /usr and libraries, or an image (`imagefs`): read-only, all of it.

As few mounts as possible: every cell copies the jail's mount table.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import sandbox.guest
from sandbox.environment import Environment, Kind
from sandbox.errors import SandboxUnavailable
from sandbox.guest.place import DEVICES
from sandbox.host import imagefs
from sandbox.host.binds import Bind
from sandbox.host.helper_elf import helper_elf
from sandbox.host.init_elf import init_elf
from sandbox.host.programs import PACKAGES

_GUEST = Path(sandbox.guest.__file__).parent
IMAGE = "/evalpool/image"
"""In the jail: an image whose programs are not Python's. The zygote stays outside, cells make it their root."""
_ETC = (
    "ld.so.cache",
    "ld.so.conf",
    "localtime",
    "timezone",
    "mime.types",
    "os-release",
    "protocols",
    "services",
    "fonts",
)
_USERS = {10000: "eval"} | {uid: f"eval{uid}" for uid in range(10001, 11024)}
"""One name each: who looks his own name up must find himself."""
_ETC_TEXTS = {
    "passwd": "root:x:0:0:root:/:/bin/false\n"
    + "".join(f"{name}:x:{uid}:{uid}::/tmp:/bin/sh\n" for uid, name in _USERS.items())
    + "nobody:x:65534:65534:nobody:/:/bin/false\n",
    "group": "root:x:0:\n" + "".join(f"{name}:x:{uid}:\n" for uid, name in _USERS.items()) + "nogroup:x:65534:\n",
    "hosts": "127.0.0.1 localhost evalpool\n::1 localhost\n",
    "hostname": "evalpool\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "resolv.conf": "",
}
_FOLDERS = (
    "tmp",
    "proc",
    "dev/shm",
    "evalpool/bin",
    "evalpool/box",
    "evalpool/origin",
    "evalpool/sandbox/guest",
    "etc",
)
_LINKS = {
    "dev/fd": "/proc/self/fd",
    "dev/stdin": "fd/0",
    "dev/stdout": "fd/1",
    "dev/stderr": "fd/2",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RootFs:
    """A root folder on the host and the mounts on top of it."""

    path: Path
    binds: tuple[Bind, ...]


def build_rootfs(path: Path, environment: Environment) -> RootFs:
    """Make the root folder of a jail for `environment` at `path`, which must not exist.

    Raises SandboxUnavailable: the environment's image or working directory is not usable.
    """
    binds = _contents(path, environment)
    _copy_guest(path / "evalpool")
    for bind in binds:
        _mount_point(path / bind.target.lstrip("/"), Path(bind.source))
    _make_readable(path)
    return RootFs(path=path, binds=binds)


def _contents(path: Path, environment: Environment) -> tuple[Bind, ...]:
    for folder in _FOLDERS:
        (path / folder).mkdir(parents=True)
    for link, target in _LINKS.items():
        (path / link).symlink_to(target)
    for device in DEVICES:
        (path / "dev" / device).touch()
    if environment.image is None:
        binds = _host(path, environment)
    elif environment.kind is Kind.PYTHON:
        binds = imagefs.furnish(path, environment.image, environment.workdir)
    else:
        binds = _beside(path, environment)
    if environment.warm:
        shutil.copytree(_GUEST / "preludes", path / "evalpool/preludes")
        _executable(path / "evalpool/preludes/helper", helper_elf())
    for name, text in _ETC_TEXTS.items():
        (path / "etc" / name).unlink(missing_ok=True)
        (path / "etc" / name).write_text(text)
    return binds


def _beside(path: Path, environment: Environment) -> tuple[Bind, ...]:
    """The host's own, for the zygote, and the image in a folder of it: no image needs to have a Python."""
    binds = _host(path, Environment(name=environment.name, packages=Path(sys.base_prefix)))
    inside = _contents(path / IMAGE.lstrip("/"), replace(environment, kind=Kind.PYTHON))
    return (*binds, *(replace(bind, target=IMAGE + bind.target) for bind in inside))


def _mount_point(point: Path, source: Path) -> None:
    if source.is_dir():
        point.mkdir(parents=True, exist_ok=True)
    else:
        point.touch()


def _copy_guest(target: Path) -> None:
    _executable(target / "bin/init", init_elf())
    for source in _GUEST.glob("*.py"):
        shutil.copyfile(source, target / "sandbox/guest" / source.name)


def _executable(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o755)


def _host(path: Path, environment: Environment) -> tuple[Bind, ...]:
    """The host's programs and libraries, and the environment's packages on top."""
    for name in _ETC:
        source = Path("/etc", name)
        if source.is_dir():
            shutil.copytree(source, path / "etc" / name, symlinks=True)
        elif source.exists():
            shutil.copyfile(source, path / "etc" / name)
    (path / "var").mkdir()
    (path / "var/tmp").symlink_to("/tmp")
    binds = [Bind(source="/usr", target="/usr", hidden=False)]
    for name in ("bin", "sbin", "lib", "lib64"):
        if Path("/", name).is_symlink():
            (path / name).symlink_to(Path("/", name).readlink())
        elif Path("/", name).is_dir():
            binds.append(Bind(source=f"/{name}", target=f"/{name}", hidden=False))
    if Path("/etc/alternatives").is_dir():
        binds.append(Bind(source="/etc/alternatives", target="/etc/alternatives", hidden=False))
    if environment.packages is not None:
        binds += _packages(environment.packages.resolve())
    workdir = path / environment.workdir.lstrip("/")
    try:
        workdir.mkdir(parents=True)
    except OSError as error:
        raise SandboxUnavailable(f"{environment.workdir} cannot be a working directory: {error.strerror}") from error
    return tuple(binds)


def _packages(root: Path) -> list[Bind]:
    binds = [Bind(source=str(root), target=PACKAGES, hidden=True)]
    prefix = (root / "bin/python3").resolve().parent.parent
    if prefix != root and not prefix.is_relative_to("/usr"):
        # A virtual environment points to its base interpreter by absolute path: it must stand there inside too.
        binds.append(Bind(source=str(prefix), target=str(prefix), hidden=True))
    return binds


def _make_readable(path: Path) -> None:
    path.chmod(0o755)
    for folder, folders, files in os.walk(path):
        for name in folders + files:
            entry = Path(folder, name)
            if not entry.is_symlink():
                entry.chmod(entry.stat().st_mode | (0o755 if entry.is_dir() else 0o444))


def staging(rootfs: RootFs, at: str = "/mnt") -> tuple[str, RootFs]:
    """What `launch` must gather at `at` for an unprivileged root, as JSON, and the root as seen from there."""
    hidden = {f"bind{i}": bind for i, bind in enumerate(rootfs.binds) if bind.hidden}
    plan = {
        "at": at,
        "binds": {"root": str(rootfs.path)} | {name: bind.source for name, bind in hidden.items()},
    }
    names = {bind: name for name, bind in hidden.items()}
    seen = tuple(
        Bind(source=f"{at}/{names[b]}", target=b.target, hidden=False) if b in names else b for b in rootfs.binds
    )
    return json.dumps(plan), RootFs(path=Path(at, "root"), binds=seen)
