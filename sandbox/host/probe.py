"""Which walls stand on this machine: `evalctl doctor` shows it. Looks and tries, changes nothing."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.config import SandboxConfig
from sandbox.ending import Ending, ending_of
from sandbox.environment import Environment, Tier
from sandbox.errors import SandboxError, SandboxUnavailable
from sandbox.host.cgroup import find_hierarchy
from sandbox.host.identity import NO_UID_FIX, uid_range
from sandbox.host.nsjail import nsjail_path
from sandbox.host.seccomp import compile_policy
from sandbox.sandbox import Sandbox
from sandbox.spec import RunSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

_KERNEL_NEEDED, _KERNEL_WANTED = (5, 9), (5, 14)
_PEAK_RESETS = (6, 12)
_CLONE_NEWUSER, _CLONE_NEWNS, _CLONE_NEWPID = 0x10000000, 0x00020000, 0x20000000
_WITHOUT_CGROUPS = (
    "memory is watched 20 times a second instead of bounded, processes are bounded by RLIMIT_NPROC, "
    "memfd and System V IPC are refused"
)
_TRY_PROC = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
if libc.unshare({flags}): sys.exit(os.strerror(ctypes.get_errno()))
if os.fork() == 0:
    if libc.mount(b"none", b"/", None, ctypes.c_ulong(0x44000), None): os._exit(ctypes.get_errno())
    failed = libc.mount(b"proc", b"/proc", b"proc", ctypes.c_ulong(0), b"hidepid=2,subset=pid")
    os._exit(ctypes.get_errno() if failed else 0)
sys.exit(os.waitstatus_to_exitcode(os.wait()[1]) and "mount refused" or 0)
"""


class Level(StrEnum):
    """How bad it is."""

    PASS = "PASS"  # noqa: S105  no password
    WARN = "WARN"
    """It works, with a wall fewer or a weaker one."""
    FAIL = "FAIL"
    """Nothing can be jailed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One finding about this machine."""

    name: str
    level: Level
    detail: str
    fix: str = ""
    """Command or sentence that mends it."""


def probe() -> list[Check]:
    """Every check, the trial run of a real jail last. Takes about a second; no event loop may be running."""
    return [*_looks(), _trial()]


def _looks() -> Iterator[Check]:
    yield _kernel()
    yield _user_namespaces()
    yield _nsjail()
    yield _uids()
    yield _fresh_proc()
    yield _seccomp()
    yield _pidfd()
    yield _cgroups()
    yield _strace()


def _kernel() -> Check:
    release = platform.release()
    numbers = _release()
    if numbers < _KERNEL_NEEDED:
        return _check("kernel", Level.FAIL, f"{release}: close_range and pidfds are missing", "use Linux 5.14 or newer")
    if numbers < _KERNEL_WANTED and os.geteuid() != 0:
        detail = f"{release}: process limits of an ordinary user's cells are one common limit"
        return _check("kernel", Level.WARN, detail, "use Linux 5.14 or newer, or run as root")
    return _check("kernel", Level.PASS, f"{release} {platform.machine()}")


def _release() -> tuple[int, ...]:
    return tuple(int("".join(filter(str.isdigit, part)) or 0) for part in platform.release().split(".")[:2])


def _user_namespaces() -> Check:
    name = "user namespaces"
    if _number("/proc/sys/user/max_user_namespaces", 1) == 0:
        return _check(name, Level.FAIL, "switched off", "sysctl -w user.max_user_namespaces=15000")
    if os.geteuid() != 0:
        if _number("/proc/sys/kernel/unprivileged_userns_clone", 1) == 0:
            return _check(name, Level.FAIL, "for root only", "sysctl -w kernel.unprivileged_userns_clone=1")
        if _number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", 0) == 1:
            fix = "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile with `userns,`"
            return _check(name, Level.FAIL, "AppArmor takes their capabilities away", fix)
    error = _try_flags(_CLONE_NEWUSER)
    if error:
        fix = "in a container: the profiles for seccomp and AppArmor of docs/privileges.md"
        return _check(name, Level.FAIL, f"cannot be made: {error}", fix)
    return _check(name, Level.PASS, "can be made")


def _nsjail() -> Check:
    try:
        path = nsjail_path()
        done = subprocess.run([path, "--help"], capture_output=True, check=False)
    except (SandboxError, OSError) as error:
        return _check("nsjail", Level.FAIL, str(error), "make setup")
    if done.returncode != 0:
        return _check("nsjail", Level.FAIL, f"{path} does not start", "use x86_64 or aarch64 with glibc 2.28 or newer")
    return _check("nsjail", Level.PASS, path)


def _uids() -> Check:
    try:
        uids = uid_range()
    except SandboxUnavailable as error:
        return _check("uids", Level.FAIL, str(error), NO_UID_FIX)
    if uids is not None:
        return _check("uids", Level.PASS, f"each cell has one of its own, from {uids.start} on")
    detail = "all cells share this user's; a user namespace for each keeps them apart"
    return _check("uids", Level.WARN, detail, "run as root (in a container: with CAP_SETUID and CAP_SETGID)")


def _fresh_proc() -> Check:
    # A /proc of its own is refused to a user namespace that sees parts of the real one covered, as in containers.
    error = _try_proc()
    if error:
        fix = "in Docker: --security-opt systempaths=unconfined; in Kubernetes: procMount: Unmasked"
        return _check("fresh /proc", Level.FAIL, error, fix)
    return _check("fresh /proc", Level.PASS, "can be mounted, with hidepid and subset=pid")


def _seccomp() -> Check:
    try:
        size = len(compile_policy(trace=False, counted=True)) // 8
    except SandboxError as error:
        return _check("seccomp", Level.FAIL, str(error), "apt-get install libseccomp2")
    return _check("seccomp", Level.PASS, f"a filter of {size} instructions")


def _pidfd() -> Check:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError as error:
        return _check("pidfd", Level.FAIL, str(error), "use Linux 5.9 or newer, without a filter on pidfd_open")
    return _check("pidfd", Level.PASS, "processes are waited for by descriptor")


def _cgroups() -> Check:
    hierarchy = find_hierarchy()
    if hierarchy is None:
        fix = "systemd-run --user --scope -p Delegate=yes evalctl up (as root without --user); in a container see docs"
        return _check("cgroups", Level.WARN, f"none is ours and writable: {_WITHOUT_CGROUPS}", fix)
    lost = "an OOM kill ends one process of a program, not all" if hierarchy.version == 1 else _lost_in_version_2()
    detail = f"version {hierarchy.version}: memory and processes are bounded"
    return _check("cgroups", Level.PASS, f"{detail}; {lost}" if lost else detail)


def _lost_in_version_2() -> str:
    return "" if _release() >= _PEAK_RESETS else "memory used is told of a program's largest process, not of all"


def _strace() -> Check:
    if shutil.which("strace", path="/usr/bin"):
        return _check("strace", Level.PASS, "/usr/bin/strace")
    return _check("strace", Level.WARN, "not installed: evals with strace are refused", "apt-get install strace")


def _trial() -> Check:
    """Boot a jail and run a program."""
    try:
        detail = asyncio.run(_run_one())
    except SandboxError as error:
        return _check("trial run", Level.FAIL, str(error), "mend what failed above")
    return _check("trial run", Level.PASS, detail)


async def _run_one() -> str:
    environment = Environment(packages=Path(sys.base_prefix), tiers=(Tier(name="bare", preload=()),))
    with tempfile.TemporaryDirectory(prefix="evalpool-probe-") as folder:
        Path(folder).chmod(0o755)  # the jail's uids are not ours
        async with Sandbox(environment, SandboxConfig(run_dir=Path(folder, "run"), slots=1)) as sandbox:
            report = await sandbox.run(RunSpec(code="print(6 * 7)"))
    if ending_of(report) is not Ending.OK or report.stdout != b"42\n":
        raise SandboxError(f"a program that prints 42 ended as {ending_of(report)}: {report.stderr.decode()[-300:]}")
    return f"a program ran in {1000 * report.usage.wall_s:.1f} ms"


def _try_flags(flags: int) -> str:
    """What goes wrong when a child makes such namespaces; empty if nothing."""
    return _try(f"import ctypes, os, sys; l = ctypes.CDLL(None, use_errno=True); "
                f"sys.exit(os.strerror(ctypes.get_errno()) if l.unshare({flags}) else 0)")  # fmt: skip


def _try_proc() -> str:
    return _try(_TRY_PROC.format(flags=_CLONE_NEWUSER | _CLONE_NEWNS | _CLONE_NEWPID))


def _try(code: str) -> str:
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False)
    return done.stderr.strip().splitlines()[-1] if done.returncode and done.stderr.strip() else ""


def _number(path: str, default: int) -> int:
    try:
        return int(Path(path).read_text())
    except (OSError, ValueError):
        return default


def _check(name: str, level: Level, detail: str, fix: str = "") -> Check:
    return Check(name=name, level=level, detail=detail, fix=fix)
