from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from processes import eventually, runs

from evalctl.guards import UpError
from evalctl.supervisor import ChildSpec, Interrupted, Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable

NOTES_ITS_END = """
    import pathlib, signal, sys, time
    def end(*_):
        with open("ends", "a") as ends: ends.write(sys.argv[1] + "\\n")
        sys.exit()
    signal.signal(signal.SIGTERM, end)
    pathlib.Path(sys.argv[1] + ".up").touch()
    while True: time.sleep(1)
"""
DEAF = """
    import os, pathlib, signal, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    grandchild = os.fork()
    if grandchild: pathlib.Path("deaf.up").write_text(f"{os.getpid()} {grandchild}")
    while True: time.sleep(1)
"""
LEAVES_ITS_PID = """
    import os, pathlib, sys, time
    pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def child(name: str, code: str, *, grace_s: float = 10.0) -> ChildSpec:
    argv = (sys.executable, "-c", textwrap.dedent(code), name)
    return ChildSpec(name=name, argv=argv, env=dict(os.environ), log=Path(f"{name}.log"), grace_s=grace_s)


async def until(holds: Callable[[], bool]) -> None:
    assert await asyncio.to_thread(eventually, holds)


async def test_children_stop_in_the_opposite_order_of_their_start() -> None:
    async with Supervisor(report=print) as supervisor:
        for name in ("redis", "worker", "api"):
            supervisor.start(child(name, NOTES_ITS_END))
        await until(lambda: all(Path(f"{name}.up").exists() for name in ("redis", "worker", "api")))

    assert Path("ends").read_text().split() == ["api", "worker", "redis"]


async def test_a_child_that_dies_is_started_again_and_that_is_said() -> None:
    said: list[str] = []
    async with Supervisor(report=said.append) as supervisor:
        supervisor.ready = True
        supervisor.start(child("pid", LEAVES_ITS_PID))
        await until(lambda: Path("pid").exists() and Path("pid").read_text() != "")
        first = int(Path("pid").read_text())
        os.kill(first, signal.SIGKILL)
        await until(lambda: Path("pid").read_text() not in {"", str(first)})
        second = int(Path("pid").read_text())

        assert runs(second)
    assert not runs(second)
    assert said == ["pid was killed by SIGKILL; starting it again in 0.2 s (pid.log)"]


async def test_the_exit_code_that_means_never_ends_everything_with_the_childs_last_sentence() -> None:
    dies = """
        import sys
        print("noise", flush=True)
        print("this machine cannot jail: no user namespaces", file=sys.stderr)
        sys.exit(3)
    """
    async with Supervisor(report=print) as supervisor:
        supervisor.start(child("bystander", LEAVES_ITS_PID), child("worker-1", dies))
        with pytest.raises(UpError, match=r"^worker-1 cannot start: this machine cannot jail: no user namespaces$"):
            await supervisor.until_ended()


async def test_what_served_once_is_started_again_whatever_it_says() -> None:
    """A jail that is killed as often as it boots looks like a machine that cannot jail. It will be over."""
    said: list[str] = []
    async with Supervisor(report=said.append) as supervisor:
        supervisor.ready = True
        supervisor.start(child("worker-1", "raise SystemExit(3)"))
        await until(lambda: len(said) == 2)

    assert said[0] == "worker-1 exited with 3; starting it again in 0.2 s (worker-1.log)"


async def test_a_child_that_cannot_be_started_for_a_while_is_tried_again() -> None:
    """A full disk once ended the supervision of a child without a word."""
    said: list[str] = []
    log = Path("logs", "api.log")
    log.parent.mkdir()
    spec = replace(child("api", LEAVES_ITS_PID), log=log)
    async with Supervisor(report=said.append) as supervisor:
        supervisor.ready = True
        supervisor.start(spec)
        await until(lambda: Path("api").exists() and bool(Path("api").read_text()))
        pid = int(Path("api").read_text())
        log.unlink()
        log.parent.rmdir()
        os.kill(pid, signal.SIGKILL)
        await until(lambda: any("did not start" in line for line in said))
        log.parent.mkdir()
        await until(lambda: Path("api").read_text() not in ("", str(pid)))


async def test_a_child_that_keeps_dying_before_all_was_ready_ends_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evalctl.supervisor._PAUSE_MAX_S", 0.01)
    async with Supervisor(report=print) as supervisor:
        supervisor.start(child("api", "raise SystemExit(1)"))
        with pytest.raises(UpError, match="api cannot start: it exited with 1 and said nothing"):
            await supervisor.until(asyncio.sleep(60))


async def test_what_takes_long_to_die_has_not_settled_before_all_was_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that reads for a minute and then finds its file broken was started again for ever."""
    monkeypatch.setattr("evalctl.supervisor._PAUSE_MAX_S", 0.01)
    monkeypatch.setattr("evalctl.supervisor._SETTLED_S", 0.0)
    async with Supervisor(report=print) as supervisor:
        supervisor.start(child("redis", "print('broken file'); raise SystemExit(1)"))
        with pytest.raises(UpError, match="redis cannot start: broken file"):
            await supervisor.until(asyncio.sleep(60))


async def test_children_of_a_group_stop_together_so_that_one_may_wait_for_another() -> None:
    """The API was told first and killed before the workers, whose programs it waited for, were told at all."""
    waits = """
        import pathlib, signal, sys, time
        def end(*_):
            while not pathlib.Path("ends").exists(): time.sleep(0.01)
            with open("ends", "a") as ends: ends.write("api\\n")
            sys.exit()
        signal.signal(signal.SIGTERM, end)
        pathlib.Path("api.up").touch()
        while True: time.sleep(1)
    """
    async with Supervisor(report=print) as supervisor:
        supervisor.start(child("worker", NOTES_ITS_END, grace_s=60), child("api", waits, grace_s=60))
        await until(lambda: all(Path(f"{name}.up").exists() for name in ("worker", "api")))

    assert Path("ends").read_text().split() == ["worker", "api"]


async def test_a_child_that_does_what_others_ask_for_is_told_after_them() -> None:
    async with Supervisor(report=print) as supervisor:
        supervisor.start(child("redis", NOTES_ITS_END))
        supervisor.start(replace(child("worker", NOTES_ITS_END), told_after_s=3.0), child("api", NOTES_ITS_END))
        assert supervisor.patience_s == 10 + 13
        await until(lambda: all(Path(f"{name}.up").exists() for name in ("worker", "api")))

    assert Path("ends").read_text().split()[:2] == ["api", "worker"]


async def test_a_child_that_does_not_listen_is_killed_with_what_it_started() -> None:
    async with Supervisor(report=print) as supervisor:
        supervisor.start(child("deaf", DEAF, grace_s=0.2))
        await until(lambda: Path("deaf.up").exists() and len(Path("deaf.up").read_text().split()) == 2)
        pids = [int(pid) for pid in Path("deaf.up").read_text().split()]
        assert all(map(runs, pids))

    assert eventually(lambda: not any(map(runs, pids)), within_s=20)


async def test_a_signal_interrupts_the_work_and_a_second_one_hurries_the_stop() -> None:
    started_at = time.monotonic()
    async with Supervisor(report=print) as supervisor:
        supervisor.start(child("deaf", DEAF, grace_s=60))
        await until(lambda: Path("deaf.up").exists())
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(Interrupted):
            await supervisor.until(asyncio.sleep(60))
        asyncio.get_running_loop().call_later(0.2, os.kill, os.getpid(), signal.SIGINT)

    assert time.monotonic() - started_at < 30


async def test_ctrl_c_in_the_terminal_reaches_no_child() -> None:
    async with Supervisor(report=print) as supervisor:
        supervisor.start(child("pid", LEAVES_ITS_PID))
        await until(lambda: Path("pid").exists() and Path("pid").read_text() != "")
        pid = int(Path("pid").read_text())

        assert os.getsid(pid) == pid


def test_kill_9_of_the_supervisor_leaves_no_child() -> None:
    script = f"""
        import asyncio, os, pathlib, sys
        from evalctl.supervisor import ChildSpec, Supervisor
        def child(name):
            argv = (sys.executable, "-c", {textwrap.dedent(LEAVES_ITS_PID)!r}, name)
            return ChildSpec(name=name, argv=argv, env=dict(os.environ), log=pathlib.Path(name + ".log"), grace_s=5)
        async def main():
            async with Supervisor(report=print) as supervisor:
                supervisor.start(child("one"), child("two"))
                await supervisor.until_ended()
        asyncio.run(main())
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)]) as supervisor:
        try:
            assert eventually(lambda: all(Path(n).exists() and Path(n).read_text() for n in ("one", "two")))
        finally:
            supervisor.kill()
    pids = [int(Path(name).read_text()) for name in ("one", "two")]

    assert eventually(lambda: not any(map(runs, pids)), within_s=20)


def test_a_child_whose_parent_is_gone_already_does_not_start() -> None:
    tether = Path(sys.modules["evalctl.tether"].__file__ or "")
    done = subprocess.run(
        [sys.executable, "-IS", str(tether), "1", "touch", "started"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (1, "evalctl: the parent process is gone\n")
    assert not Path("started").exists()
