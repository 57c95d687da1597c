"""Each limit, when passed, gives its verdict; below it nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from walls import bare_sandbox

from sandbox import Ending, JailFailed, Limits, RunReport, RunSpec, ending_of, shared
from sandbox.host import cell
from sandbox.host.cgroup import V2, find_hierarchy
from sandbox.host.feed import Feed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sandbox import Sandbox
    from sandbox.host.cgroup import Hierarchy

pytestmark = pytest.mark.jail
MIB = 1 << 20

OVERTIME = {
    "busy": "while True: pass",
    "asleep": "import time; time.sleep(60)",
    "deaf to SIGTERM": "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)",
    "stopped": "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)",
    "waiting for a child": "import os, time\nif os.fork() == 0: time.sleep(60)\nos.wait()",
    "waiting for input that ended": "import sys, time\nsys.stdin.read(); time.sleep(60)",
    "in a C call": "import re; re.match('(a+)+$', 'a' * 60 + 'b')",
}


SOON_S = 10.0
"""Much less than the programs here would take, if they were let; on a crowded machine a cell may wait for a second."""


async def run(sandbox: Sandbox, code: str, *, limits: dict[str, Any] | None = None, **spec: Any) -> RunReport:
    return await sandbox.run(RunSpec(code=code, limits=Limits(**(limits or {})), **spec))


@pytest.mark.parametrize("code", OVERTIME.values(), ids=OVERTIME)
async def test_wall_time_ends_a_program_that_is(code: str, counted: Sandbox) -> None:
    report = await run(counted, code, limits={"wall_s": 0.3})

    assert (ending_of(report), report.timed_out) == (Ending.WALL_TIME, True)
    assert 0.3 <= report.usage.wall_s < SOON_S


async def test_the_delivery_of_large_files_is_not_the_programs_time(
    counted: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine `print(1)` with 4 MB of files was a timeout with 12 ms of CPU time."""
    _deliver_late(monkeypatch, 4.0)
    spec: dict[str, Any] = {"files": {"data.bin": bytes(4 * MIB)}, "outputs": ("*.txt",), "limits": {"wall_s": 3.0}}
    codes = ("import os; print(os.path.getsize('data.bin'))", "while True: pass")
    report, endless = await asyncio.gather(*(run(counted, code, **spec) for code in codes))

    assert (ending_of(report), report.stdout) == (Ending.OK, f"{4 * MIB}\n".encode())
    assert (ending_of(endless), endless.stdout) == (Ending.WALL_TIME, b"")
    assert endless.usage.wall_s >= 3.0


async def test_a_delivery_that_never_ends_is_bounded(counted: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    _deliver_late(monkeypatch, 60)
    monkeypatch.setattr(cell, "_DELIVERY_S", 0.3)
    with pytest.raises(JailFailed):
        await run(counted, "print(1)", files={"data.bin": bytes(4 * MIB)}, limits={"wall_s": 0.2})


def _deliver_late(monkeypatch: pytest.MonkeyPatch, delay_s: float) -> None:
    """Let what does not fit into a cell's channel at once wait for so long."""
    start = Feed.start

    def late(self: Feed, data: bytes) -> None:
        if len(data) < MIB:
            start(self, data)
        else:
            asyncio.get_running_loop().call_later(delay_s, lambda: self._fd < 0 or start(self, data))

    monkeypatch.setattr(Feed, "start", late)


async def test_what_was_printed_before_the_time_was_over_is_kept(counted: Sandbox) -> None:
    report = await run(counted, "import time; print('so far', flush=True); time.sleep(60)", limits={"wall_s": 2.0})

    assert report.stdout == b"so far\n"


async def test_a_child_that_outlives_the_program_does_not_delay_the_reply(counted: Sandbox) -> None:
    report = await run(counted, "import os, time\nif os.fork() == 0: time.sleep(60)\nprint('done')")

    assert (ending_of(report), report.stdout) == (Ending.OK, b"done\n")
    assert report.usage.wall_s < SOON_S


async def test_cpu_time_is_not_wall_time(counted: Sandbox) -> None:
    busy, idle = await asyncio.gather(
        run(counted, "while True: pass", limits={"cpu_s": 1.0, "wall_s": 60.0}),
        run(counted, "import time; time.sleep(1.1)", limits={"cpu_s": 1.0, "wall_s": 60.0}),
    )

    assert (ending_of(busy), ending_of(idle)) == (Ending.CPU_TIME, Ending.OK)
    assert 0.5 < busy.usage.cpu_s < 1.5


async def test_memory_over_the_limit_ends_as_memory(counted: Sandbox) -> None:
    code = "keep = []\nwhile True: keep.append(bytearray(b'x') * (1 << 20))"
    report = await run(counted, code, limits={"memory_bytes": 64 * MIB})

    assert ending_of(report) == Ending.MEMORY


async def test_memory_below_the_limit_is_had(counted: Sandbox) -> None:
    report = await run(counted, "print(len(bytearray(b'x') * (48 << 20)))", limits={"memory_bytes": 64 * MIB})

    assert (ending_of(report), report.stdout) == (Ending.OK, b"50331648\n")


async def test_memory_that_children_share_counts_once(counted: Sandbox) -> None:
    """Copy on write: six processes see the same 40 MiB."""
    code = """
import os, time
keep = bytearray(b"x") * (40 << 20)
for _ in range(6):
    if os.fork() == 0:
        time.sleep(0.3)
        os._exit(0)
for _ in range(6):
    os.wait()
print(len(keep))
"""
    report = await run(counted, code, limits={"memory_bytes": 96 * MIB})

    assert (ending_of(report), report.stdout) == (Ending.OK, b"41943040\n")


async def test_a_limit_below_what_a_cell_needs_is_the_programs_loss_only(counted: Sandbox) -> None:
    """The group is used again: its next cell must find room to get warm in."""
    for _ in range(12):
        small = await run(counted, "x = bytearray(b'x') * (16 << 20)\nwhile True: pass", limits={"memory_bytes": MIB})
        assert ending_of(small) == Ending.MEMORY

    assert ending_of(await run(counted, "print(1)")) == Ending.OK


async def test_memory_that_the_container_lacks_is_not_the_programs_fault(
    environment_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel counts an OOM kill for a limit further up just like one for the program's own."""
    keeps = "import sys\nkeep = []\nfor _ in range({}): keep.append(bytearray(b'x') * (1 << 20))\nprint('done')"
    with container(64 * MIB) as hierarchy:
        monkeypatch.setattr(shared, "find_hierarchy", lambda: hierarchy)
        async with bare_sandbox(environment_root, tmp_path, slots=1) as sandbox:
            for _ in range(2):
                with pytest.raises(JailFailed, match="within its memory limit"):
                    await run(sandbox, keeps.format(96), limits={"memory_bytes": 256 * MIB})
                own = await run(sandbox, keeps.format(96), limits={"memory_bytes": 40 * MIB})
                assert ending_of(own) == Ending.MEMORY
            assert (await run(sandbox, keeps.format(16), limits={"memory_bytes": 40 * MIB})).stdout == b"done\n"


@contextlib.contextmanager
def container(limit_bytes: int) -> Iterator[Hierarchy]:
    """A hierarchy in a group of less memory, as a container's."""
    found = find_hierarchy()
    if found is None:
        pytest.skip("no writable cgroup here")
    found.prepare()
    above = found.memory / f"container-{os.getpid()}"
    above.mkdir()
    try:
        (above / found.files.limit).write_text(str(limit_bytes))
        yield replace(found, memory=above, pids=above if found.files is V2 else found.pids)
    finally:
        above.rmdir()


async def test_one_huge_request_is_a_memory_error_or_the_verdict(counted: Sandbox) -> None:
    """A cgroup sees touched pages only; without one RLIMIT_DATA refuses the request, as documented."""
    report = await run(counted, "bytearray(b'x') * (8 << 30)")

    assert ending_of(report) == Ending.MEMORY or b"MemoryError" in report.stderr


async def test_exactly_the_bound_of_output_passes(counted: Sandbox) -> None:
    report = await run(counted, "import sys; print('o' * (1048575)); print('e' * (1048575), file=sys.stderr)")

    assert ending_of(report) == Ending.OK
    assert report.stdout == b"o" * 1048575 + b"\n"
    assert report.stderr == b"e" * 1048575 + b"\n"
    assert (report.stdout_truncated, report.stderr_truncated) == (False, False)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
async def test_one_byte_more_ends_as_output(stream: str, counted: Sandbox) -> None:
    report = await run(counted, f"import sys; sys.{stream}.write('x' * 1048577); sys.{stream}.flush()")

    assert ending_of(report) == Ending.OUTPUT
    assert getattr(report, stream) == b"x" * MIB
    assert (report.stdout_truncated, report.stderr_truncated) == (stream == "stdout", stream == "stderr")


async def test_a_flood_of_100_mb_is_cut_and_over_at_once(counted: Sandbox) -> None:
    report = await run(counted, "import os\nfor _ in range(1600): os.write(1, b'x' * 65536)")

    assert (ending_of(report), len(report.stdout)) == (Ending.OUTPUT, MIB)
    assert report.usage.wall_s < SOON_S


async def test_output_of_its_own_bound_is_kept_whole(counted: Sandbox) -> None:
    report = await run(counted, "print('x' * 9_999_999)", limits={"output_bytes": 10_000_000})

    assert (ending_of(report), len(report.stdout)) == (Ending.OK, 10_000_000)


async def test_a_fork_bomb_is_felt_by_no_neighbour(counted: Sandbox) -> None:
    bomb = "import os, time\ntry:\n  while True:\n    if os.fork() == 0: time.sleep(60)\nexcept OSError: time.sleep(1)"
    bombs = [asyncio.create_task(run(counted, bomb, limits={"wall_s": 20.0})) for _ in range(2)]
    await asyncio.sleep(0.3)
    neighbour = await run(counted, "import subprocess; print(subprocess.check_output(['echo', 'fine']).decode())")

    assert neighbour.stdout == b"fine\n\n"
    assert [ending_of(report) for report in await asyncio.gather(*bombs)] == [Ending.OK, Ending.OK]


IN_FLIGHT = """
import os, socket, time
keep = []
try:
    while True:
        keep.append(socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM))
        socket.send_fds(keep[-1][0], [b"x"], [0] * 250)
except OSError as error:
    print(error.strerror, flush=True)
time.sleep(1)
"""


async def test_descriptors_in_flight_of_one_keep_no_files_of_another(counted: Sandbox) -> None:
    """They are counted per user of the machine, not per cell."""
    hogs = [asyncio.create_task(run(counted, IN_FLIGHT)) for _ in range(3)]
    await asyncio.sleep(0.3)
    neighbour = await counted.run(RunSpec(code="open('x', 'w').write('1')", outputs=("x",)))

    assert (neighbour.exit_code, neighbour.files) == (0, {"x": b"1"})
    assert {hog.stdout for hog in await asyncio.gather(*hogs)} == {b"Too many references: cannot splice\n"}


OWN_LIMITS = {
    "open files": "import os\nwhile True: os.dup(0)",
    "file size": "open('/tmp/x', 'wb').truncate(65 << 20)",
    "disk": "for n in range(3): open(f'/tmp/{n}', 'wb').write(b'x' * (30 << 20))",
    "inodes": "import os\nfor n in range(9000): os.mkdir(f'/tmp/{n}')",
}
MESSAGES = {
    "open files": b"Too many open files",
    "file size": b"File too large",
    "disk": b"No space left",
    "inodes": b"No space left",
}


@pytest.mark.parametrize("name", OWN_LIMITS)
async def test_what_the_kernel_refuses_is_the_programs_own_error(name: str, counted: Sandbox) -> None:
    report = await run(counted, OWN_LIMITS[name])

    assert ending_of(report) in (Ending.FAILED, Ending.SIGNALLED)
    assert MESSAGES[name] in report.stderr


@pytest.mark.parametrize(("code", "stdout"), [("print(1)", b"1\n"), ("print(len(input()))", b"8388608\n")])
async def test_8_mib_of_stdin_unread_or_read(code: str, stdout: bytes, counted: Sandbox) -> None:
    report = await run(counted, code, stdin=b"x" * (8 * MIB))

    assert (ending_of(report), report.stdout) == (Ending.OK, stdout)


async def test_cancelling_a_run_kills_the_program(counted: Sandbox) -> None:
    """The slot works again at once, and whoever ran in it is dead: four at a time can be cancelled for ever."""
    for _ in range(3):
        runs = [asyncio.create_task(run(counted, "while True: pass", limits={"wall_s": 60.0})) for _ in range(4)]
        await asyncio.sleep(0.1)
        for task in runs:
            task.cancel()
        await asyncio.gather(*runs, return_exceptions=True)
    started = time.monotonic()

    assert (await run(counted, "print(1)")).stdout == b"1\n"
    assert time.monotonic() - started < SOON_S


async def test_16_at_once_on_4_slots_each_have_their_own_answer(counted: Sandbox) -> None:
    reports = await asyncio.gather(*(run(counted, f"print({n}); raise SystemExit({n})") for n in range(16)))

    assert [(r.stdout, r.exit_code) for r in reports] == [(b"%d\n" % n, n) for n in range(16)]
