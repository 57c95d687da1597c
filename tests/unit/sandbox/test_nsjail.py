"""The outer wall as text, and the smallest pid 1."""

from __future__ import annotations

import itertools
import os
import platform
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sandbox import bare_environment
from sandbox.guest.place import DEVICES
from sandbox.host.helper_elf import helper_elf
from sandbox.host.init_elf import init_elf
from sandbox.host.nsjail import nsjail_argv
from sandbox.host.rootfs import Bind, RootFs, build_rootfs

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = RootFs(path=Path("/r"), binds=(Bind(source="/usr", target="/usr", hidden=False),))


def values(argv: list[str], option: str) -> list[str]:
    return [value for name, value in itertools.pairwise(argv) if name == option]


@pytest.mark.parametrize("uids", [range(100_000, 165_536), None])
def test_the_wall_as_text(uids: range | None) -> None:
    argv = nsjail_argv(ROOT, uids=uids, environ={"A": "b"}, python="/opt/python/bin/python3", options=["-O"])

    assert values(argv, "--user") == ["0:100000:65536" if uids else f"0:{os.getuid()}:1"]
    assert values(argv, "--bindmount_ro") == ["/usr:/usr"]
    assert values(argv, "--bindmount") == [f"/dev/{name}" for name in DEVICES]
    assert (argv[argv.index("--") + 1], argv[-1]) == ("/opt/python/bin/python3", "-O")
    assert values(argv, "--pass_fd") == ["3"]
    assert "A=b" in values(argv, "--env")
    assert [word for word in argv if word.startswith(("--disable_clone", "--disable_no_new_privs"))] == []


def test_a_root_folder_holds_nothing_of_the_host_but_what_is_listed(tmp_path: Path) -> None:
    root = build_rootfs(tmp_path / "root", bare_environment())
    entries = [path for path in root.path.rglob("*") if not path.is_symlink()]

    assert {bind.target for bind in root.binds} >= {"/usr", "/opt/python"}
    assert "shadow" not in {path.name for path in (root.path / "etc").iterdir()}
    assert {path.name for path in (root.path / "dev").iterdir() if path in entries} == {*DEVICES, "shm"}
    assert [path for path in entries if path.stat().st_mode & 0o022] == []


@pytest.mark.parametrize("make", [init_elf, helper_elf])
@pytest.mark.parametrize(("machine", "number"), [("x86_64", 62), ("aarch64", 183)])
def test_what_is_machine_code_is_a_whole_executable(make: Callable[[str], bytes], machine: str, number: int) -> None:
    elf = make(machine)
    kind, found, _, entry, segment = struct.unpack_from("<HHIQQ", elf, 16)
    load, flags, offset, address, _, file_bytes, memory_bytes, _ = struct.unpack_from("<IIQQQQQQ", elf, segment)

    assert (elf[:4], kind, found) == (b"\x7fELF", 2, number)
    assert (load, flags, offset) == (1, 5, 0)  # read and execute, never write
    assert file_bytes == memory_bytes == len(elf)
    assert address < entry < address + len(elf)


def _becomes(holds: tuple[str, bool], init: subprocess.Popen[bytes]) -> bool:
    """Whether the process soon has that name and (has or lacks) children."""
    for _ in range(500):
        name = Path(f"/proc/{init.pid}/comm").read_text().strip()
        children = Path(f"/proc/{init.pid}/task/{init.pid}/children").read_text()
        if (name, bool(children)) == holds:
            return True
        time.sleep(0.01)
    return False


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="there is no init for it")
def test_init_sleeps_reaps_and_dies_only_when_killed(tmp_path: Path) -> None:
    """In the place of orphans stand the children of a Python that becomes init, one of which is dead already."""
    path = tmp_path / "init"
    path.write_bytes(init_elf())
    path.chmod(0o755)
    code = f"""
import os, time
if os.fork() == 0: time.sleep(0.3); os._exit(3)
if (dead := os.fork()) == 0: os._exit(3)
os.waitid(os.P_PID, dead, os.WEXITED | os.WNOWAIT)
os.execv({str(path)!r}, ['init'])"""
    with subprocess.Popen([sys.executable, "-c", code]) as init:
        assert _becomes(("init", True), init)
        assert _becomes(("init", False), init)
        assert init.poll() is None
        init.kill()
        assert init.wait(5) == -signal.SIGKILL
