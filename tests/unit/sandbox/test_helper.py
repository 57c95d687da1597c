"""The helper beside a started command: what the host has it do is done, to the first call that fails."""

from __future__ import annotations

import fcntl
import os
import platform
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

import pytest

from sandbox import RunSpec
from sandbox.guest import protocol
from sandbox.host.errand import errand
from sandbox.host.helper_elf import helper_elf
from sandbox.presets import PRESETS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="there is no helper for it")
SPEC = RunSpec(
    code="echo hi",
    files={"a/b/c": bytes(200_000), "a/b/d": b"", "run": b"x"},
    executables=("run",),
    env={"MINE": "it's"},
    outputs=("*",),
)


class Helper(NamedTuple):
    """One that waits, and the far ends of what it has."""

    channel: socket.socket
    job: int
    ready: int


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Helper]:
    file, work = tmp_path / "helper", tmp_path / "work"
    file.write_bytes(helper_elf())
    file.chmod(0o755)
    work.mkdir()
    monkeypatch.chdir(work)
    ours, theirs = socket.socketpair()
    job, job_sink = os.pipe()
    ready, ready_sink = os.pipe()
    with ExitStack() as kept:
        kept.enter_context(ours)
        kept.callback(os.close, job)
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100) for fd in (theirs.fileno(), job_sink, ready)]
        moves = [(os.POSIX_SPAWN_DUP2, *move) for move in zip(high, protocol.HELPER_FDS, strict=True)]
        os.waitpid(os.posix_spawn(file, ["helper"], {}, file_actions=moves), 0)
        for fd in (*high, job_sink, ready):
            os.close(fd)
        theirs.close()
        with open(ready_sink, "wb", closefd=True):  # noqa: PTH123  a descriptor
            yield Helper(ours, job, ready_sink)


def _warm(helper: Helper) -> float | None:
    os.write(helper.ready, protocol.pack_spent(0.25) + b"\n")
    return protocol.unpack_warm(helper.channel.recv(4096))


def _told(helper: Helper) -> bytes:
    with open(os.dup(helper.job), "rb") as told:  # noqa: PTH123  a descriptor
        return told.read()


def test_it_says_when_the_command_waits_and_what_that_has_cost(helper: Helper) -> None:
    spent_s = _warm(helper)

    assert spent_s is not None
    assert spent_s >= 0.25


def test_it_puts_files_in_place_sends_the_folder_and_speaks_to_the_prelude(helper: Helper, tmp_path: Path) -> None:
    _warm(helper)
    helper.channel.sendall(errand(SPEC, PRESETS["bash"], data_bytes=None))
    told = _told(helper)
    said, fds, _, _ = socket.recv_fds(helper.channel, 100, 2)
    work = tmp_path / "work"

    assert told == b"exec 250<&- 251>&-\nexport MINE='it'\\''s'\nwhile kill -0 4; do :; done 2> /dev/null\nreturn 7\n"
    assert {str(path.relative_to(work)): path.read_bytes() for path in work.rglob("*") if path.is_file()} == {
        "main.sh": b"echo hi",
        **SPEC.files,
    }
    assert [(work / name).stat().st_mode & 0o111 for name in ("run", "a/b/c")] == [0o111, 0]
    assert (said, [os.fstat(fd).st_ino for fd in fds]) == (protocol.FOLDERS, [work.stat().st_ino])
    for fd in fds:
        os.close(fd)
    assert (helper.channel.recv(100), helper.channel.recv(1)) == (protocol.PLACED, b"")


@pytest.mark.parametrize("files", [{"a": b"", "a/b": b""}, {"main.sh/a": b""}, {"/": b""}, {"x" * 300: b""}])
def test_a_call_that_fails_is_its_last(helper: Helper, files: dict[str, bytes]) -> None:
    _warm(helper)
    helper.channel.sendall(errand(RunSpec(code="", files=files), PRESETS["bash"], data_bytes=None))

    assert (_told(helper), helper.channel.recv(1)) == (b"", b"")


def test_a_command_that_ends_without_its_prelude_ends_it(helper: Helper) -> None:
    os.write(helper.ready, protocol.pack_spent(0.25))
    os.dup2(os.open(os.devnull, os.O_WRONLY), helper.ready)

    assert helper.channel.recv(1) == b""


@pytest.mark.parametrize("sent", [b"", b"\0" * 100, b"\xff" * 192])
def test_what_is_no_errand_ends_it(helper: Helper, sent: bytes) -> None:
    _warm(helper)
    helper.channel.sendall(sent)
    helper.channel.shutdown(socket.SHUT_WR)

    assert (_told(helper), helper.channel.recv(1)) == (b"", b"")


def test_a_path_that_no_file_can_have_is_refused() -> None:
    with pytest.raises(ValueError, match="null"):
        errand(RunSpec(code="", files={"a\0b": b""}), PRESETS["bash"], data_bytes=None)
