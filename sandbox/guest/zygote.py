"""The zygote: preloads once, then only forks. Never sees a job, never runs a program.

It is pid 1 of the jail, single-threaded, and keeps its capabilities (inside the jail's user namespace only)
because isolating a cell needs them. When the control channel closes it leaves, and the kernel ends all cells.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
from typing import NamedTuple

from sandbox.guest import cell, linux, place, program, protocol, watch

_CONTROL_FD = 3
_COUNTERS_BYTES = 4096
_SCARCE = errno.EAGAIN, errno.ENOMEM, errno.ENOSPC, errno.EMFILE, errno.ENFILE
"""Why a fork may fail now and succeed later: the cells that run have what there is."""
_immortal: list[Zygote] = []
"""The zygote's own objects: cells leave its frames, but must not spend time on freeing them."""


class Boot(NamedTuple):
    """What the host tells a zygote once."""

    preload: list[str]
    """Modules to import before the first fork; one that is missing fails the boot, by name."""
    optional: list[str]
    """Before these: what cannot be imported is left out."""
    walls: cell.Walls


class _Child(NamedTuple):
    """One cell as the zygote knows it."""

    cell: int
    program: int
    """Pid of the cell's program; 0 once reaped."""
    init: int
    """Pid of the first process of the cell's pid namespace."""


class _Network(NamedTuple):
    """Network namespace of a slot, which its cells enter one after another as long as none has used it."""

    namespace: int
    counters: int
    """Descriptor of its `/proc/net/dev`."""
    unused: bytes
    """What that told when the namespace was new."""

    @classmethod
    def make(cls) -> _Network:
        """Make one, and stay in it."""
        linux.unshare(linux.CLONE_NEWNET)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            linux.loopback_up(probe.fileno())
        namespace = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            counters = os.open("/proc/self/net/dev", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            os.close(namespace)
            raise
        return cls(namespace, counters, os.pread(counters, _COUNTERS_BYTES, 0))

    def is_unused(self) -> bool:
        """Whether nothing was ever sent in it: what was may have left ports in TIME_WAIT, metrics and counts."""
        return os.pread(self.counters, _COUNTERS_BYTES, 0) == self.unused

    def close(self) -> None:
        """Let go of it; no cell is in it."""
        os.close(self.namespace)
        os.close(self.counters)


class Zygote:
    """The loop: one control socket, two pidfds per cell."""

    def __init__(self, control: socket.socket, boot: Boot) -> None:
        self._control = control
        self._boot = boot
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)
        self._children: dict[int, _Child] = {}
        self._by_pidfd: dict[int, tuple[_Child, int]] = {}
        self._networks: dict[int, _Network] = {}
        self._watch = watch.Watch()
        self._home = linux.pidfd_open(_spawn_init())
        """A process that does nothing but stay in the jail's own namespaces, so that one call leads back there."""
        self._own_netns = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def serve(self) -> cell.Seat:
        """Serve the host until it closes the channel. Returns in cells only: each finds its seat."""
        while True:
            for fd, _ in self._poll.poll(self._watch.tick_ms):
                if fd == self._control.fileno():
                    seat = self._command()
                    if seat is not None:
                        return seat
                else:
                    self._reap(fd)
            for cell_id in self._watch.exceeded():
                self._watch.drop(cell_id)
                self._tell(protocol.OOM, cell_id)
                self._kill(cell_id)

    def _command(self) -> cell.Seat | None:
        data, fds = linux.recv_fds(self._control, protocol.PACKET_BYTES, 16)
        if not data:
            os._exit(0)
        op, cell_id, slot, how, memory_bytes = protocol.unpack_order(data)
        if op == protocol.FORK:
            return self._fork(cell_id, slot, how, fds)
        if op == protocol.KILL:
            self._kill(cell_id)
        elif op == protocol.WATCH:
            self._watch_cell(cell_id, memory_bytes)
        return None

    def _fork(self, cell_id: int, slot: int, how: int, fds: list[int]) -> cell.Seat | None:
        init, pid, pidfds = 0, 0, []
        scarce = 0
        try:
            network = self._network(slot)
            # The cell's namespaces are made here and entered by its init too. If the program alone held them, its
            # exit would be told only after they are torn down (more than a millisecond for the mounts).
            linux.unshare(cell.NAMESPACES)
            init = _spawn_init()
            pid = linux.fork()
            if pid == 0:
                return cell.Seat(slot, how, network, fds)
            pidfds.append(linux.pidfd_open(pid))
            pidfds.append(linux.pidfd_open(init))
        except OSError as error:
            if error.errno not in _SCARCE:
                raise
            scarce = error.errno
        linux.setns(self._home, cell.NAMESPACES)
        if scarce:
            _undo((pid, init), pidfds)
            self._tell(protocol.UNBORN, cell_id, scarce)
        else:
            self._enter(_Child(cell_id, pid, init), pidfds)
        for fd in fds:
            os.close(fd)
        return None

    def _enter(self, child: _Child, pidfds: list[int]) -> None:
        self._children[child.cell] = child
        for process, pidfd in zip((child.program, child.init), pidfds):  # noqa: B905  images bring Python 3.8 and 3.9
            self._by_pidfd[pidfd] = (child, process)
            self._poll.register(pidfd, select.POLLIN)

    def _network(self, slot: int) -> int:
        """Network namespace of a slot: made once, and anew when a cell has sent something in it."""
        kept = self._networks.get(slot)
        if kept is not None and kept.is_unused():
            return kept.namespace
        if kept is not None:
            self._networks.pop(slot).close()
        try:
            self._networks[slot] = _Network.make()
        finally:
            linux.setns(self._own_netns, linux.CLONE_NEWNET)
        return self._networks[slot].namespace

    def _kill(self, cell_id: int) -> None:
        child = self._children.get(cell_id)
        if child is not None:
            os.kill(child.init, signal.SIGKILL)  # the kernel then kills everything in its pid namespace

    def _watch_cell(self, cell_id: int, bound_bytes: int) -> None:
        child = self._children.get(cell_id)
        if child is not None:
            self._watch.add(cell_id, child.init, bound_bytes)

    def _reap(self, pidfd: int) -> None:
        child, pid = self._by_pidfd.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        _, status, usage = os.wait4(pid, 0)
        if pid == child.init:
            self._watch.drop(child.cell)
            del self._children[child.cell]
            self._tell(protocol.GONE, child.cell)
            return
        self._tell(protocol.EXIT, child.cell, status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)
        self._kill(child.cell)

    def _tell(self, op: bytes, cell_id: int, status: int = 0, cpu_s: float = 0.0, peak_bytes: int = 0) -> None:
        self._control.send(protocol.pack_notice(op, cell_id, status, cpu_s, peak_bytes))


def _spawn_init() -> int:
    return os.posix_spawn("/evalpool/bin/init", ["init"], {})


def _undo(pids: tuple[int, ...], pidfds: list[int]) -> None:
    """End what was begun of a cell: its program first, for its init is not gone before that is."""
    for fd in pidfds:
        os.close(fd)
    for pid in filter(None, pids):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _furnish() -> None:
    """Make the folder that becomes the root of cells a mount, with devices in it."""
    if place.root:
        linux.mount(place.root, place.root, "", linux.MS_BIND | linux.MS_REC)
        linux.mount("/dev", place.root + "/dev", "", linux.MS_BIND | linux.MS_REC)


def _read_ahead() -> None:
    """Have the programs that cells will be in the page cache: who reads them first has them counted as its memory."""
    for path, *_ in place.programs.values():
        with contextlib.suppress(OSError), open(place.root + path, "rb") as file:
            while file.read(1 << 20):
                pass


def _preload(boot: Boot) -> None:
    for name in boot.optional:
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    for name in boot.preload:
        try:
            importlib.import_module(name)
        except BaseException as error:
            raise ImportError(f"preloading {name}: {type(error).__name__}: {error}") from error
    program.pose()
    # What is alive now stays: keep the collector of every cell off these pages, they would all be copied.
    gc.collect()
    gc.freeze()


def _hear(control: socket.socket) -> Boot:
    # In a frame of its own: what cells still hold when they leave `main` is freed by each of them.
    message = json.loads(control.recv(protocol.PACKET_BYTES))
    place.settle(message["place"])
    return Boot(message["preload"], message["optional"], cell.Walls.from_message(message["walls"]))


def main() -> tuple[cell.Seat, cell.Walls]:
    """Boot and serve; the control channel is descriptor 3. Returns in cells only, to `boot`: no frame stays below."""
    control = socket.socket(fileno=_CONTROL_FD)
    control.set_inheritable(False)
    boot = _hear(control)
    try:
        linux.make_read_only("/")  # nsjail's own remount forgets flags, and fails where there are some (see `--rw`)
        for device in place.DEVICES:
            linux.make_read_only(f"/dev/{device}")  # can be written to all the same, but their times cannot be set
        if place.origin and not os.listdir(place.root + place.origin):
            place.origin = ""
        _preload(boot)
        _furnish()
        _read_ahead()
        linux.drop_bounding_set()
        zygote = Zygote(control, boot)
    except BaseException as error:  # noqa: BLE001  a preload may raise anything; the host reports it by name
        control.send(json.dumps({"op": "failed", "why": f"{type(error).__name__}: {error}"[:2000]}).encode())
        sys.exit(1)
    control.send(b'{"op": "ready"}')
    _immortal.append(zygote)
    return zygote.serve(), boot.walls
