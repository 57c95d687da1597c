"""A cell as the host sees it: its channel and pipes, and the one run it is for."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import signal
import socket
import time
from typing import TYPE_CHECKING, Any

from sandbox.config import YOUNG_S
from sandbox.errors import JailFailed, SandboxUnavailable
from sandbox.guest import protocol
from sandbox.host.capture import Capture
from sandbox.host.errand import errand
from sandbox.host.feed import Feed
from sandbox.host.folders import Brought, read
from sandbox.host.notices import CellExit, ProtocolError
from sandbox.host.room import unplaced
from sandbox.spec import RunReport, Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.bytecode import Turn
    from sandbox.host.cgroup import CellGroup, GroupUsage
    from sandbox.host.jail import Jail
    from sandbox.spec import RunSpec

    OnOutput = Callable[[str, bytes], None]

_END_S = 10.0
"""After a kill, the longest wait for the end of a program before its whole jail is killed."""
_GONE_S = 30.0
"""After a program's end, the longest wait for the end of its descendants and pipes, likewise."""
_SLOW_S = 60.0
"""The longest wait for either while others of the jail do come to their end: a machine that is full is slow. Without
cgroups dozens of busy processes, each with its small share of time, hold locks that the dying need."""
_DELIVERY_S = 10.0
"""Most that it may take on a busy machine until large files are in place; it is not the program's time."""
_RESERVED_BYTES = (64 << 20) * (1 + (os.cpu_count() or 1))
"""Without a cgroup: room for memory that is asked for and hardly touched, such as stacks and OpenBLAS's buffers
per processor. RLIMIT_DATA is the second line: one huge request is a MemoryError, growth is seen by the watch first."""


_PIECE_BYTES = 1 << 18
_NOTHING = CellExit(status=signal.SIGKILL, cpu_s=0.0, peak_bytes=0)
"""End of a cell that never was."""


class Cell:
    """One fork of a zygote: `await warm`, `run` once, and when all of it is gone `on_gone` is called."""

    def __init__(self, cell_id: int, jail: Jail, slot: int, group: CellGroup | None) -> None:
        self.id, self.jail, self.slot = cell_id, jail, slot
        self.on_gone: Callable[[Cell], None] = lambda _: None
        self._group = group
        self._loop = asyncio.get_running_loop()
        self.warm: asyncio.Future[None] = self._loop.create_future()
        self._done: asyncio.Future[None] = self._loop.create_future()
        for future in (self.warm, self._done):
            future.add_done_callback(_mark_retrieved)
        self._exit: CellExit | None = None
        self._group_usage: GroupUsage | None = None
        self._despair_timer: asyncio.TimerHandle | None = None
        self._rest_of_job: Feed | None = None
        self._prepared_s = self._wall_s = self._started_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._folders: list[int] = []
        self._folders_due = 0
        self._turn: Turn | None = None
        self.ahead = False
        """The environment's command is started in it before the job comes."""
        self.is_gone = self.is_unborn = False
        """Unborn: it could not even be forked."""
        self._is_used = self._job_sent = False
        self._placed = False
        """Of a command that was started: the helper has done all of its errand, and the program begins."""
        self._timed_out = self._overflowed = self._out_of_memory = False

    def start(self, *, trace: bool = False, rehearse: bool = True, ahead: bool = False) -> None:
        """Order the fork (see `guest.cell.Seat`).

        Raises SandboxUnavailable if we lack what it takes, OSError if the jail does not take the order.
        """
        self.ahead, how = ahead, trace * protocol.TRACE | rehearse * protocol.REHEARSE | ahead * protocol.AHEAD
        with contextlib.ExitStack() as theirs:
            try:
                fds = self._connect(theirs)
            except OSError as error:
                raise SandboxUnavailable(f"no cell can be made: {error}") from error
            try:
                self.jail.fork(self.id, self, slot=self.slot, how=how, fds=fds)
            except OSError:
                self._release()
                raise

    def _connect(self, theirs: contextlib.ExitStack) -> list[int]:
        """Make the cell's channel and pipes; the ends that it gets are for the stack to close. Raises OSError."""
        with contextlib.ExitStack() as ours:
            join = self._group.join() if self._group else ()
            self._channel, channel = socket.socketpair()
            ours.enter_context(self._channel)
            theirs.enter_context(channel)
            self._channel.setblocking(False)
            stdin, stdin_w = _pipe(theirs, ours)
            stdout_r, stdout = _pipe(ours, theirs)
            stderr_r, stderr = _pipe(ours, theirs)
            for fd in (stdin_w, stdout_r, stderr_r):
                os.set_blocking(fd, False)
            ours.pop_all()
        self._feed = Feed(stdin_w)
        self._out = Capture(stdout_r, self._progress, self._overflow)
        self._err = Capture(stderr_r, self._progress, self._overflow)
        self._loop.add_reader(self._channel.fileno(), self._hear)
        return [channel.fileno(), stdin, stdout, stderr, *join]

    async def run(
        self, spec: RunSpec, on_output: OnOutput | None = None, *, step: str = "run", turn: Turn | None = None
    ) -> RunReport:
        """Run `spec`, or another of its environment's steps; `turn` says what becomes of bytecode.

        Cancelling this call kills the program. Raises JailFailed if the jail breaks.
        """
        self._is_used, self._turn, limits = True, turn, spec.limits
        for name, capture in (("stdout", self._out), ("stderr", self._err)):
            capture.bound = limits.output_bytes
            if on_output is not None:
                capture.on_chunk = lambda chunk, name=name: on_output(name, chunk)
        self._wall_s = limits.wall_s
        self._start_clock()
        growing = self._loop.call_later(YOUNG_S, self._grow_up)
        try:
            with contextlib.suppress(OSError):  # it broke: what that means is judged when it has ended
                self._limit_memory(limits.memory_bytes)
                self._send(spec, step=step, live=on_output is not None)
                self._feed.start(spec.stdin)
            await self._done
            wall_s = time.perf_counter() - self._started_at
            return self._report(spec, wall_s, await self._brought(spec))
        finally:
            self._stop_clock()
            growing.cancel()
            self.kill()
            self._release()
            for capture in (self._out, self._err):
                capture.forget()

    def kill(self) -> None:
        """Kill whatever runs in the cell; no-op once the program is dead."""
        if self._exit is None and not self.jail.lost.is_set():
            self._hope(_END_S)
            self.jail.kill(self.id)

    def discard(self) -> None:
        """Let go of a cell that has run nothing."""
        self._release()
        self.kill()

    # What the jail tells (jail.Resident).

    def exited(self, facts: CellExit) -> None:
        """The program is dead."""
        self._exit = facts
        if self._group is not None:  # now: once the cell is gone the group counts for the slot's next one
            self._group_usage = self._group.usage()
        self._hope(_GONE_S)
        if not self.warm.done():
            self.warm.set_exception(JailFailed("the cell died before it was warm"))
        self._progress()

    def out_of_memory(self) -> None:
        """The zygote's watch found it over its limit."""
        self._out_of_memory = True

    def gone(self) -> None:
        """Nothing of the cell is left: its slot is free."""
        self.is_gone = True
        if self._exit is None:
            self.jail_lost()
        elif not self._is_used:
            self._release()
        elif not (self._out.ended and self._err.ended):
            _collect_sockets()
        self._rest()
        self.on_gone(self)

    def unborn(self, errno: int) -> None:
        """It could not be forked, and is gone. Raises ProtocolError: it was there already."""
        was_warm = self.warm.done() and not self.warm.cancelled() and self.warm.exception() is None
        if was_warm or self._exit is not None:
            raise ProtocolError("a zygote did not fork a cell that was there")
        self.is_unborn, self._exit = True, _NOTHING
        if not self.warm.done():
            self.warm.set_exception(JailFailed(f"no cell can be forked: {os.strerror(errno)}"))
        self.gone()

    def jail_lost(self) -> None:
        """The jail died under the cell."""
        for future in (self.warm, self._done):
            if not future.done():
                future.set_exception(JailFailed("the jail died under the cell"))
        self._release()
        self._rest()

    # What the loop tells.

    def _hear(self) -> None:
        try:
            data, fds, _, _ = socket.recv_fds(self._channel, _PIECE_BYTES if self._turn else 4096, 2)
        except BlockingIOError:
            return
        except OSError:
            data, fds = b"", []
        prepared_s = protocol.unpack_warm(data)
        if prepared_s is not None and not fds and not self.warm.done():
            self._prepared_s = prepared_s
            self.warm.set_result(None)
        elif data == protocol.FOLDERS and fds and len(fds) == self._folders_due:
            self._folders, self._folders_due = fds, 0
        elif data == protocol.PLACED and not fds and self.ahead and self._job_sent:
            self._placed = True
            self._begin()
        elif data and not fds and self._turn is not None and self._turn.take(data):
            return
        else:
            for fd in fds:
                os.close(fd)
            self._hang_up(data)

    def _hang_up(self, data: bytes) -> None:
        """Hear no more: the cell closed its channel, which is right once it has its job, or said what it must not."""
        self._loop.remove_reader(self._channel.fileno())
        failure = self._job_sent and data[:1] == protocol.FAILED and data[1:].isdigit()
        if self._turn is not None and not failure:
            self._turn.over()
        if data or not self._job_sent:
            self.kill()
        elif not self._placed:
            self._begin()
        if not self.warm.done():
            said = data[1:].decode(errors="replace") if data[:1] == protocol.FAILED else ""
            said = said or ("its command ended before it ran its prelude" if self.ahead else "it hung up")
            self.warm.set_exception(JailFailed(f"the cell could not wall itself in: {said}"))
        elif failure and not self._done.done():
            self._done.set_exception(unplaced(int(data[1:9])))
        elif data and not self._done.done():
            self._done.set_exception(JailFailed("the cell said what is not in the protocol"))

    def _progress(self) -> None:
        if self._exit is not None and self._out.ended and self._err.ended and not self._done.done():
            self._done.set_result(None)

    def _begin(self) -> None:
        """All files are in place, and the program begins: if they were large, its time does as well."""
        if self._rest_of_job is None:
            return
        if self._exit is None:
            self._start_clock()
        else:  # it was short, and its end was heard first
            self._started_at = time.perf_counter()

    def _start_clock(self, *, more_s: float = 0.0) -> None:
        """Count the program's time from now on, and end it after that and `more_s`."""
        self._stop_clock()
        self._started_at = time.perf_counter()
        self._timer = self._loop.call_later(self._wall_s + more_s, self._time_out)

    def _stop_clock(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _time_out(self) -> None:
        if self._exit is None:
            self._timed_out = True
            self.kill()

    def _grow_up(self) -> None:
        if self._exit is None and self._group is not None:  # else the group may be another cell's by now
            self._group.grow_up()

    def _overflow(self) -> None:
        self._overflowed = True
        self.kill()

    def _hope(self, wait_s: float) -> None:
        """Let the next step of its end take so long."""
        if self._despair_timer is not None:
            self._despair_timer.cancel()
        give_up_at = self._loop.time() + max(wait_s, _SLOW_S)
        self._despair_timer = self._loop.call_later(wait_s, self._despair, wait_s, give_up_at)

    def _rest(self) -> None:
        """Hope for nothing more if all of it has come."""
        if self.is_gone and self._despair_timer is not None and (self._done.done() or self._channel.fileno() < 0):
            self._despair_timer.cancel()
            self._despair_timer = None

    def _despair(self, wait_s: float, give_up_at: float) -> None:
        cell_id, gone_at = self.jail.buried
        now = self._loop.time()
        if cell_id != self.id and now - gone_at < wait_s and now < give_up_at:
            self._despair_timer = self._loop.call_later(wait_s, self._despair, wait_s, give_up_at)
            return
        self.jail.lose()
        self.jail_lost()  # a jail that has called us gone does not tell us any more

    @property
    def _starved(self) -> bool:
        """Whether its memory limit ended it, perhaps before it could take its job."""
        return self._out_of_memory or (self._group_usage is not None and self._group_usage.is_starved)

    @property
    def _took_job(self) -> bool:
        return self._job_sent and (self._rest_of_job is None or self._rest_of_job.complete)

    def _limit_memory(self, limit_bytes: int) -> None:
        if self._group is None:
            self.jail.watch(self.id, limit_bytes)
        elif not self._group.limit_memory(limit_bytes):
            self._out_of_memory = True
            self.kill()

    def _send(self, spec: RunSpec, *, step: str, live: bool) -> None:
        self._folders_due = bool(spec.outputs) + bool(spec.figures or spec.display)
        data_bytes = None if self._group is not None else 2 * spec.limits.memory_bytes + _RESERVED_BYTES
        if self.ahead:
            frame = errand(spec, self.jail.environment, data_bytes=data_bytes)
        else:
            frame = _frame(spec, self._turn, step=step, data_bytes=data_bytes, live=live)
        try:
            sent = self._channel.send(frame)
        except BlockingIOError:
            sent = 0
        if sent < len(frame):
            self._start_clock(more_s=_DELIVERY_S)
            self._rest_of_job = Feed(os.dup(self._channel.fileno()))
            self._rest_of_job.start(frame[sent:])
        self._job_sent = True

    def _report(self, spec: RunSpec, wall_s: float, brought: Brought) -> RunReport:
        assert self._exit is not None  # noqa: S101  `_done` is set only then
        if not self._starved and self._group_usage is not None and self._group_usage.is_robbed:
            raise JailFailed("it was killed within its memory limit: the container or the machine has no more")
        if not self._took_job and not self._starved:
            raise JailFailed("the cell broke before it took the job")
        if self.ahead and not (self._placed or self._starved or self._timed_out):
            raise JailFailed("the cell broke before its program began")
        code = os.waitstatus_to_exitcode(self._exit.status)
        return RunReport(
            exit_code=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            timed_out=self._timed_out,
            cpu_exceeded=_cpu_exceeded(code, self._exit.cpu_s, spec.limits.cpu_s),
            oom_killed=self._starved,
            output_exceeded=self._overflowed,
            stdout=self._out.data,
            stderr=self._err.data,
            stdout_truncated=self._out.truncated,
            stderr_truncated=self._err.truncated,
            files=brought.files,
            figures=brought.figures,
            display=brought.display,
            usage=Usage(
                wall_s=wall_s,
                cpu_s=max(0.0, self._exit.cpu_s - self._prepared_s),
                memory_bytes=_peak_bytes(self._exit, self._group_usage),
            ),
        )

    async def _brought(self, spec: RunSpec) -> Brought:
        """Read in a thread: what a hostile program left takes its time. The thread owns the folders."""
        folders, self._folders = self._folders, []
        if not folders:
            return Brought()
        work = asyncio.ensure_future(asyncio.to_thread(_read, folders, spec))
        work.add_done_callback(_mark_retrieved)
        try:
            return await asyncio.shield(work)
        except OSError as error:
            raise JailFailed("the cell sent what is not a directory") from error

    def _release(self) -> None:
        if not self._done.done():  # by now nobody would hear of its end
            self._done.set_exception(JailFailed("the cell was let go of"))
        if self._channel.fileno() >= 0:
            self._loop.remove_reader(self._channel.fileno())
            self._channel.close()
        self._feed.close()
        if self._rest_of_job is not None:
            self._rest_of_job.close()
        self._out.close()
        self._err.close()
        for fd in self._folders:
            os.close(fd)
        self._folders = []
        self._rest()


def _pipe(reads: contextlib.ExitStack, writes: contextlib.ExitStack) -> tuple[int, int]:
    """Both ends of a new pipe, each for its stack to close."""
    reader, writer = os.pipe()
    reads.callback(os.close, reader)
    writes.callback(os.close, writer)
    return reader, writer


def _collect_sockets() -> None:
    """Have the kernel look for sockets that travel in one another, and that nobody has any more.

    They may hold the other ends of our pipes. It looks whenever a socket goes, on a quiet machine perhaps not for long.
    """
    for end in socket.socketpair():
        end.close()


def _peak_bytes(ended: CellExit, counted: GroupUsage | None) -> int:
    """Of the whole cell where that was counted, else of its largest process."""
    return ended.peak_bytes if counted is None or counted.peak_bytes is None else counted.peak_bytes


def _cpu_exceeded(code: int, cpu_s: float, limit_s: float | None) -> bool:
    # Both numbers: a program may send itself the signal, or may have ignored it until the hard limit's SIGKILL. The
    # time is believed from half of the limit on: RLIMIT_CPU counts by ticks, which on a busy machine run ahead.
    return limit_s is not None and code in (-signal.SIGXCPU, -signal.SIGKILL) and cpu_s > limit_s / 2


def _read(folders: list[int], spec: RunSpec) -> Brought:
    try:
        return read(folders, spec)
    finally:
        for fd in folders:
            os.close(fd)


def _frame(spec: RunSpec, turn: Turn | None, *, step: str, data_bytes: int | None, live: bool) -> bytes:
    limits = spec.limits
    rlimits = {} if limits.cpu_s is None else {"CPU": math.ceil(limits.cpu_s)}
    header = {
        "args": spec.args,
        "env": dict(spec.env),
        "files": list(spec.files),
        "executables": spec.executables,
        "step": step,
        "interpreter_mode": spec.interpreter_mode,
        "strace": spec.strace,
        "merge_streams": spec.merge_streams,
        "live": live,
        "outputs": bool(spec.outputs),
        "figures": limits.figures_count if spec.figures else 0,
        "display": limits.display_count if spec.display else 0,
        "bytecode": turn.mode if turn else "",
        "rlimits": rlimits,
        "data_bytes": data_bytes,
    }
    bytecode = [turn.data] if turn and turn.mode == protocol.HAVE else []
    return protocol.pack_job(header, [spec.code.encode(), *spec.files.values(), *bytecode])


def _mark_retrieved(future: asyncio.Future[Any]) -> None:
    # A discarded cell's failure is nobody's news; do not let the loop log it as forgotten.
    if not future.cancelled():
        future.exception()
