"""Become what the manifests make of a process: `python contained.py KIND NEEDED COMMAND...`, for root.

KIND is "worker" (root of a user namespace with two capabilities, as `hostUsers: false` gives) or "nobody" (uid 10001,
none). Neither can gain any; system calls are those of `deploy/seccomp/worker.json`. NEEDED paths (by colons) can be
read by all, in a mount namespace of its own; the first is the one folder that it may write.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import as_user
import confined

from sandbox.guest import linux

FIRST, COUNT = 200_000, 65_536
NOBODY = 10_001


def main(kind: str, needed: list[Path], command: list[str]) -> None:
    """Never returns."""
    owner = FIRST if kind == "worker" else NOBODY
    os.chown(needed[0], owner, owner)
    as_user.uncover_all(needed)
    os.chdir(needed[0])
    if kind == "worker":
        enter_user_namespace()
        confined._confine(capabilities=confined.CAPABILITIES)
    else:
        confined._confine(capabilities=set())  # while we may still say so
        as_user.become(NOBODY)
    os.execvp(command[0], command)


def enter_user_namespace() -> None:
    """Be root of a new one; a helper out here maps its ids."""
    process = os.getpid()
    left, told = os.pipe()
    helper = os.fork()
    if helper == 0:
        os.read(left, 1)
        for kind in ("uid", "gid"):
            Path(f"/proc/{process}/{kind}_map").write_text(f"0 {FIRST} {COUNT}")
        os._exit(0)
    linux.unshare(linux.CLONE_NEWUSER)
    os.write(told, b"x")
    os.waitpid(helper, 0)
    os.close(left)
    os.close(told)
    os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)


if __name__ == "__main__":
    main(sys.argv[1], [Path(path) for path in sys.argv[2].split(":")], sys.argv[3:])
