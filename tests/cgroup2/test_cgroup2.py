"""Memory limits under cgroup version 2, whatever this machine has: in a Linux of its own, which runs as a process.

The kernel is user-mode Linux (a Debian package), its root this machine's, read-only. `boot.sh` is its first process.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from evalctl import debs
from evalctl.settings import Settings

HERE = Path(__file__).parent
CHECKOUT = HERE.parent.parent
FREE_UID = "54321"
"""As `as_user` chooses."""
AT_LEAST = 4

pytestmark = [pytest.mark.jail, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def said() -> dict[str, str]:
    """What each part of `boot.sh` printed."""
    if platform.machine() != "x86_64":
        pytest.skip("user-mode Linux is for x86-64")
    if not shutil.which("apt-get"):
        pytest.skip("user-mode Linux is had from a Debian package")
    state = Settings.from_env().state_dir.resolve()
    kernel = debs.unpacked(state, "user-mode-linux") / "usr/bin/linux.uml"
    command = [kernel, "mem=1G", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", "quiet", "loglevel=0"]
    command += ["con=null", "con0=null,fd:1", f"init={HERE / 'boot.sh'}"]
    command += [f"CHECKOUT={CHECKOUT}", f"PYTHON={sys.executable}", f"STATE={state}", f"USER_ID={FREE_UID}"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert "== over" in done.stdout, done.stdout + done.stderr
    parts = re.split(r"^== (\w+)\s*$", done.stdout, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("identity", ["root", "user"])
def test_memory_limits_hold(identity: str, said: dict[str, str]) -> None:
    """As root below the root group, as an ordinary user in a group that was delegated."""
    passed = re.search(r"(\d+) passed", said[identity])

    assert passed is not None, said[identity]
    assert int(passed[1]) >= AT_LEAST, said[identity]
    assert "failed" not in said[identity], said[identity]
    assert "skipped" not in said[identity], said[identity]


def test_the_doctor_knows_the_version_and_what_is_lost(said: dict[str, str]) -> None:
    assert said["doctor"].startswith("\nversion 2: memory and processes are bounded")
