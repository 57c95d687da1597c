"""Hostile programs of other languages: the strongest is C, which asks the kernel directly.

The Python attacks of `tests/escape` are run in an environment that executes its command too, by that suite.
"""

from __future__ import annotations

import ctypes
import platform
import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from roots import small_root
from toolchains import started

from sandbox import Ending, Limits, RunSpec, Sandbox, SandboxConfig, ending_of
from sandbox.presets import PRESETS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from toolchains import Language

HERE = Path(__file__).parent
TABLE = tomllib.loads((HERE.parent / "jail" / "policy_table.toml").read_text())
MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

pytestmark = [pytest.mark.jail, pytest.mark.asyncio(loop_scope="session")]


def denied() -> str:
    """Name and number of every call that the committed table denies or calls absent."""
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_syscall_resolve_name_arch.argtypes = [ctypes.c_uint32, ctypes.c_char_p]
    machine = MACHINES[platform.machine()]
    names = [name for key in ("denied", "absent") for name in TABLE[key].split()]
    numbers = {name: library.seccomp_syscall_resolve_name_arch(machine, name.encode()) for name in names}
    return "".join(f"{name} {number}\n" for name, number in numbers.items() if 0 <= number < 1024)


async def test_a_program_that_asks_the_kernel_directly_gets_nothing(language: Language) -> None:
    calls = denied()
    code = (HERE / "denied.c").read_text()
    report = await (await language("c")).run(RunSpec(code=code, stdin=calls.encode()))

    assert (report.stdout, ending_of(report)) == (b"done\n", Ending.OK), report.stderr
    assert calls.count("\n") > 60


SHELL = """
for file in /etc/shadow /proc/1/environ /proc/1/root/etc/passwd /proc/sys/kernel/hostname /proc/kcore /dev/sda /dev/kmsg
do cat "$file" > /dev/null 2>&1 && echo "managed: read $file"; done
for file in /x /usr/x /bin/x /etc/x /opt/python/x /evalpool/x /dev/x /proc/x
do { echo mine > "$file"; } 2> /dev/null && echo "managed: write $file"; done
(exec 3<> /dev/tcp/192.0.2.1/80) 2> /dev/null && echo "managed: connect"
kill -9 1 2> /dev/null && [ -e /proc/1 ] && echo "managed: see pid 1"
ulimit -u unlimited 2> /dev/null && echo "managed: ulimit"
su -c id 2> /dev/null < /dev/null && echo "managed: su"
unshare -r id 2> /dev/null && echo "managed: unshare"
for fd in /proc/self/fd/*; do case "${fd##*/}" in 0|1|2|3|255) ;; *) echo "managed: descriptor $fd";; esac; done
echo done
"""
NODE = """
const fs = require('fs'), net = require('net'), tries = {
  read: () => fs.readFileSync('/etc/shadow'), write: () => fs.writeFileSync('/usr/x', ''),
  setuid: () => process.setuid(0), nice: () => require('os').setPriority(-20),
  root: () => fs.readdirSync('/proc/1/root'), chroot: () => process.chroot('/tmp'),
};
for (const [name, act] of Object.entries(tries)) try { act(); console.log('managed:', name); } catch {}
net.connect(80, '192.0.2.1').on('connect', () => console.log('managed: connect'))
  .on('error', () => console.log('done'));
"""


@pytest.mark.parametrize(("name", "code"), [("bash", SHELL), ("node", NODE)])
async def test_a_shell_and_a_node_get_nothing_either(name: str, code: str, language: Language) -> None:
    report = await (await language(name)).run(RunSpec(code=code))

    assert report.stdout == b"done\n", report


async def test_killing_all_that_can_be_killed_ends_the_program_alone(language: Language) -> None:
    sandbox = await language("bash")
    report = await sandbox.run(RunSpec(code="kill -9 -1; echo alive"))

    assert report.stdout in {b"alive\n", b""}
    assert (await sandbox.run(RunSpec(code="echo fine"))).stdout == b"fine\n"


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def imaged(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sandbox]:
    """A shell in a root of its own, that has no Python."""
    root = small_root(tmp_path_factory.mktemp("root"), "bash", "ls", "cat", "sleep")
    (root / "srv" / "app").mkdir(parents=True)
    (root / "srv" / "app" / "given").write_text("of the image\n")
    environment = replace(PRESETS["bash"], image=root, workdir="/srv/app")
    config = SandboxConfig(run_dir=tmp_path_factory.mktemp("imaged") / "run", slots=2)
    async with Sandbox(environment, config) as sandbox:
        await sandbox.prove()
        yield await started(sandbox)


async def test_an_image_is_all_that_its_programs_see(imaged: Sandbox) -> None:
    """The zygote stands in the host's own files: none of them is left below, above or beside a cell's root."""
    code = "pwd; cat given; ls / /evalpool/* /proc/1/root; ls /dev; cat /proc/self/mountinfo"
    report = await imaged.run(RunSpec(code=code))
    text = report.stdout.decode()

    assert text.startswith("/srv/app\nof the image\n")
    assert not re.search(r"python|zygote\.py|/opt\b", text)
    assert set(re.findall(r"^\d+ \d+ \S+ \S+ (\S+)", text, re.MULTILINE)) <= {
        "/", "/lib", "/lib64", "/srv", "/usr", "/bin", "/evalpool/origin", "/srv/app", "/tmp", "/proc", "/dev",
        "/dev/shm", "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom",
    }  # fmt: skip


async def test_a_shell_in_an_image_gets_nothing(imaged: Sandbox) -> None:
    report = await imaged.run(RunSpec(code=SHELL))

    assert report.stdout == b"done\n", report


async def test_limits_hold_in_an_image(imaged: Sandbox) -> None:
    slow = await imaged.run(RunSpec(code="sleep 60", limits=Limits(wall_s=0.3)))
    full = await imaged.run(RunSpec(code="while :; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; done"))

    assert [ending_of(slow), ending_of(full)] == [Ending.WALL_TIME, Ending.OUTPUT]
