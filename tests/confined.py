"""Run pytest with the least privilege that a worker needs: `python tests/confined.py IDENTITY PYTEST-ARGUMENT...`.

For a suite that root started. IDENTITY is what a container may make of a worker: "root" with two capabilities,
"rootless" (the same in a user namespace with 65,536 ids, as in Kubernetes with `hostUsers: false`), "user" with none.
No privilege can be gained (`no_new_privs`), and system calls are those of `deploy/seccomp/worker.json`.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import as_user

from evalctl import bootstrap
from evalctl.settings import Settings
from sandbox.guest import linux
from sandbox.host.seccomp import _export, _library, _rule

PROFILE = as_user.CHECKOUT / "deploy/seccomp/worker.json"
CAPABILITIES = {6, 7}
"""CAP_SETGID, CAP_SETUID."""
_ACTIONS = {"SCMP_ACT_ALLOW": 0x7FFF0000, "SCMP_ACT_ERRNO": 0x00050000}
_IDS = "0 200000 65536"


def main(identity: str, arguments: list[str]) -> int:
    """Run pytest with `arguments`; its exit code."""
    settings = Settings.from_env()
    environment = settings.environment_root or bootstrap.environment_root(settings.state_dir)
    owner = {"root": 0, "rootless": int(_IDS.split()[1]), "user": as_user.free_uid()}[identity]
    folder = Path(tempfile.mkdtemp(prefix="evalpool-confined-"))
    folder.chmod(0o755)
    os.chown(folder, owner, owner)
    try:
        pid = os.fork()
        if pid == 0:
            as_user.uncover_all(as_user.needed_by(environment, folder))
            if identity == "rootless":
                _enter_user_namespace()
            elif identity == "user":
                as_user.become(owner)
            _confine(capabilities=CAPABILITIES if identity != "user" else set())
            as_user.run_pytest(arguments, folder, environment)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        shutil.rmtree(folder)


def _enter_user_namespace() -> None:
    """As root of a container that has its own: the parent, out here, maps its ids."""
    ready, done = os.pipe(), os.pipe()
    pid = os.fork()
    if pid:
        os.read(ready[0], 1)
        for kind in ("uid", "gid"):
            Path(f"/proc/{pid}/{kind}_map").write_text(_IDS)
        os.write(done[1], b"x")
        os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    linux.unshare(linux.CLONE_NEWUSER)
    os.write(ready[1], b"x")
    os.read(done[0], 1)
    os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)


def _confine(capabilities: set[int]) -> None:
    for capability in set(range(64)) - capabilities:
        with_it = linux._libc.prctl(linux.PR_CAPBSET_DROP, capability, 0, 0, 0)  # the exec of pytest takes it from us
        if with_it < 0 and os.geteuid() == 0 and ctypes.get_errno() != linux._EINVAL:
            raise OSError(ctypes.get_errno(), "a capability stays")
    linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
    linux.load_seccomp(linux.SeccompFilter(_compiled(json.loads(PROFILE.read_text()))))


def _compiled(profile: dict[str, object]) -> bytes:
    """The profile as a container's runtime would compile it."""
    library = _library()
    context = ctypes.c_void_p(library.seccomp_init(_ACTIONS["SCMP_ACT_ERRNO"] | profile["defaultErrnoRet"]))
    for group in profile["syscalls"]:
        for name in group["names"]:
            _rule(library, context, _ACTIONS[group["action"]] | group.get("errnoRet", 0), name)
    return _export(library, context)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
