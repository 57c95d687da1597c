"""Run pytest as an ordinary user, for a suite that root started: `python tests/as_user.py PYTEST-ARGUMENT...`.

The user has no passwd entry, no home and no group. What it needs to read may lie below folders that only root
may enter (a checkout in `mktemp -d`, an interpreter under /root): in a mount namespace of its own such a folder
is covered, and the needed parts stand in it at their old paths. All it may write is one temporary folder.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from evalctl import bootstrap
from evalctl.settings import Settings
from sandbox.guest import linux

CHECKOUT = Path(__file__).resolve().parent.parent
_ENTER, _LIST = 0o001, 0o005


def main(arguments: list[str]) -> int:
    """Run pytest with `arguments`; its exit code."""
    settings = Settings.from_env()
    environment = settings.environment_root or bootstrap.environment_root(settings.state_dir)
    uid = free_uid()
    folder = Path(tempfile.mkdtemp(prefix="evalpool-user-"))
    os.chown(folder, uid, uid)
    try:
        pid = os.fork()
        if pid == 0:
            uncover_all(needed_by(environment, folder))
            become(uid)
            run_pytest(arguments, folder, environment)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        shutil.rmtree(folder)


def free_uid() -> int:
    """A uid that nobody has."""
    taken = {entry.pw_uid for entry in pwd.getpwall()}
    return next(uid for uid in itertools.count(54321) if uid not in taken)


def needed_by(environment: Path, folder: Path) -> list[Path]:
    """What a suite reads and writes, the environment's real interpreter included."""
    base = (environment / "bin/python3").resolve().parent.parent
    return [CHECKOUT, Path(sys.prefix), Path(sys.base_prefix), environment, base, folder, *_bytecode()]


def _bytecode() -> list[Path]:
    """Where root's suite has it: every process that cannot read it compiles all that it imports."""
    return [path for path in [Path(sys.pycache_prefix or "/nonexistent")] if path.is_dir()]


def uncover_all(needed: list[Path]) -> None:
    """Make everything `needed` readable for anybody, in this process's own mount namespace."""
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
    os.umask(0o022)
    linux.unshare(linux.CLONE_NEWNS)
    linux.mount("none", "/", "", linux.MS_REC | linux.MS_PRIVATE)
    while hidden := _hidden(needed):
        _uncover(hidden, needed)


def become(uid: int) -> None:
    """Be an ordinary user without groups."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def _hidden(needed: list[Path]) -> Path | None:
    """A folder on the way to a needed one that others may not enter."""
    for path in needed:
        for folder in reversed([path, *path.parents]):
            wanted = _LIST if folder == path else _ENTER
            if folder.stat().st_mode & wanted != wanted and folder.stat().st_uid == 0:
                return folder
    return None


def _uncover(hidden: Path, needed: list[Path]) -> None:
    """Cover `hidden` by an open folder with the needed parts of it at the same places."""
    parts = list(hidden.iterdir()) if hidden in needed else _topmost(hidden, needed)
    opened = {part: os.open(part, os.O_PATH) for part in parts if not part.is_symlink()}
    linux.mount("tmpfs", str(hidden), "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=0755,size=64k")
    for part, fd in opened.items():
        part.parent.mkdir(parents=True, exist_ok=True)
        if Path(f"/proc/self/fd/{fd}").is_dir():
            part.mkdir()
        else:
            part.touch()
        linux.mount(f"/proc/self/fd/{fd}", str(part), "", linux.MS_BIND | linux.MS_REC)
        os.close(fd)


def _topmost(hidden: Path, needed: list[Path]) -> list[Path]:
    below = {path for path in needed if path.is_relative_to(hidden)}
    return [path for path in below if below.isdisjoint(path.parents)]


def run_pytest(arguments: list[str], folder: Path, environment: Path) -> None:
    """Become pytest, with `folder` as the only place to write to."""
    os.chdir(CHECKOUT)
    variables = {
        "EVAL_ENVIRONMENT_ROOT": str(environment),
        "EVAL_STATE_DIR": str(folder),
        "HOME": str(folder),
        "HYPOTHESIS_STORAGE_DIRECTORY": str(folder / "hypothesis"),
        "LANG": "C.UTF-8",
        "PATH": os.environ["PATH"],
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPYCACHEPREFIX": sys.pycache_prefix or "",
        "TMPDIR": str(folder),
    }
    command = [sys.executable, "-m", "pytest", "-o", f"cache_dir={folder / 'cache'}", f"--basetemp={folder / 'tests'}"]
    os.execve(sys.executable, [*command, *arguments], variables)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
