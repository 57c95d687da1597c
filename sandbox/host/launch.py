"""Exec nsjail from a child of the host: dies with its parent, and sees what root's own folders hide.

Inside the jail's user namespace root is an ordinary uid outside, and an ordinary uid cannot pass a 0700 folder
such as /root. So a real root first gathers what the jail mounts on a tmpfs that only this process tree sees.
Runs as `python -m sandbox.host.launch FD PARENT_PID STAGE ARGV...`: standard input becomes descriptor FD, STAGE is a
JSON object {"at": folder, "binds": {name: source}} or null.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from sandbox.guest import linux


def stage(at: str, binds: dict[str, str]) -> None:
    """Bind every source to `at`/name, in a private mount namespace."""
    linux.unshare(linux.CLONE_NEWNS)
    linux.mount("none", "/", "", linux.MS_REC | linux.MS_PRIVATE)
    opened = {name: os.open(source, os.O_PATH) for name, source in binds.items()}
    linux.mount("evalpool", at, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=0755,size=64k")
    for name, fd in opened.items():
        target = Path(at, name)
        target.mkdir()
        # Through the descriptor: the tmpfs may just have covered the source's path.
        linux.mount(f"/proc/self/fd/{fd}", str(target), "", linux.MS_BIND)
        # An image that root unpacked may hold device nodes; no user namespace can take these flags off again.
        linux.mount("none", str(target), "", linux.MS_REMOUNT | linux.MS_BIND | linux.MS_NODEV | linux.MS_NOSUID)
        os.close(fd)


def main() -> None:
    """Arrange to die with the parent, stage, exec."""
    control, parent, staging, *argv = sys.argv[1:]
    os.dup2(0, int(control))
    os.set_inheritable(int(control), True)
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):
        sys.exit("the parent is gone")
    plan = json.loads(staging)
    if plan is not None:
        stage(plan["at"], plan["binds"])
    os.execv(argv[0], argv)


if __name__ == "__main__":
    main()
