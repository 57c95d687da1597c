"""A cell: one fork of the zygote that walls itself in, rehearses, waits, and runs one program.

Everything that can be done before the job arrives is done before the cell says it is warm.
"""

from __future__ import annotations

import binascii
import os
import random
import resource
import socket
import sys
import threading
import time
from typing import Any, NamedTuple

from sandbox.guest import linux, place, prelude, program, protocol

_UNMAPPED_ROOT_UID = 10000
"""Uid of every cell where only one uid can be mapped, and the first one where a range can."""
_CHANNEL_FD = 3
NAMESPACES = linux.CLONE_NEWPID | linux.CLONE_NEWNS | linux.CLONE_NEWIPC | linux.CLONE_NEWUTS
"""What the zygote makes anew for each cell, before the fork."""


class Walls(NamedTuple):
    """What a cell needs to know to isolate itself; the same for all cells of a zygote."""

    own_uids: bool
    """A uid of its own for each slot (range mapping); else a nested user namespace with one uid."""
    tmpfs: str
    """Mount options of the cell's one tmpfs: size and inodes."""
    rlimits: list[tuple[int, int]]
    """(RLIMIT_ number, hard and soft value)."""
    open_files: int
    """Bound of a program's descriptors; see `program.prepare`."""
    filter: linux.SeccompFilter
    trace_filter: linux.SeccompFilter
    """For cells that may trace their own children (`strace`)."""
    nice: int

    @classmethod
    def from_message(cls, message: dict[str, Any]) -> Walls:
        """Make what the host sent ready to use, once, so that no cell has to."""
        rlimits = []
        for name, value in message.pop("rlimits").items():
            number = getattr(resource, f"RLIMIT_{name}")
            _, hard = resource.getrlimit(number)
            rlimits.append((number, value if hard == resource.RLIM_INFINITY else min(value, hard)))
        filters = [linux.SeccompFilter(binascii.a2b_base64(message.pop(name))) for name in ("filter", "trace_filter")]
        return cls(rlimits=rlimits, filter=filters[0], trace_filter=filters[1], **message)


class Seat(NamedTuple):
    """What the zygote hands to one cell."""

    slot: int
    how: int
    """`protocol.TRACE`: its program may trace. `REHEARSE`: be ready for a job that is still to come; one that waits
    already is served sooner without. `AHEAD`: start the environment's command before the job (`place.prelude`)."""
    network: int
    """Descriptor of the slot's network namespace."""
    fds: list[int]
    """Channel, stdin, stdout, stderr, then the files by which to join cgroups."""


def live(seat: Seat, walls: Walls) -> program.Job:
    """Be the cell `seat`: isolate, rehearse, wait for the one job.

    Where the command is started ahead, the process that was the cell becomes it, and nobody returns.
    """
    channel_fd, stdin, stdout, stderr, *cgroups = seat.fds
    os.dup2(channel_fd, _CHANNEL_FD, inheritable=False)  # over the zygote's control channel
    channel = socket.socket(fileno=_CHANNEL_FD)
    try:
        _join(cgroups)
        _isolate(seat, walls)
        if seat.how & protocol.REHEARSE:
            program.rehearse()
        for source, target in ((stdin, 0), (stdout, 1), (stderr, 2)):
            os.dup2(source, target)
        os.closerange(_CHANNEL_FD + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        linux.load_seccomp(walls.trace_filter if seat.how & protocol.TRACE else walls.filter)
        if seat.how & protocol.AHEAD:
            prelude.start(channel, walls.open_files)
        channel.sendall(protocol.pack_warm(time.process_time()))
    except BaseException as error:  # noqa: BLE001  whatever it was, the host must hear it and the cell must die
        channel.sendall(protocol.FAILED + f"{type(error).__name__}: {error}".encode()[:2000])
        os._exit(1)
    header, blobs = _receive(channel)
    return program.Job(header, blobs, channel, walls.open_files)


def _join(cgroups: list[int]) -> None:
    # The cell moves itself: in version 2 that can wait for an RCU grace period, which nobody else should wait for.
    for fd in cgroups:
        os.write(fd, b"0")


def _isolate(seat: Seat, walls: Walls) -> None:
    linux.setns(seat.network, linux.CLONE_NEWNET)
    linux.unshare(linux.CLONE_NEWCGROUP)  # after joining its cgroups, which become the root of what it sees
    uid = _UNMAPPED_ROOT_UID + (seat.slot if walls.own_uids else 0)
    _mounts(uid if walls.own_uids else 0, walls.tmpfs)
    os.setsid()
    os.nice(walls.nice)
    if walls.own_uids:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    else:
        _nest(uid)
    # Not before: a user namespace takes its maker's RLIMIT_NPROC as the bound of all that it and its siblings run.
    _limit(walls.rlimits)
    linux.drop_capabilities()
    # A change of uid makes /proc/self unreadable to its owner; subprocess and multiprocessing list it.
    linux.prctl(linux.PR_SET_DUMPABLE, 1)
    linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
    os.chdir(place.workdir)
    _show_origin()
    _show_links()
    _reseed()


def _mounts(owner: int, tmpfs: str) -> None:
    flags = linux.MS_NOSUID | linux.MS_NODEV
    linux.mount("tmpfs", "/evalpool/box", "tmpfs", flags, f"mode=0755,{tmpfs}")
    for name, target, mode in (
        ("work", place.root + place.workdir, 0o755),
        ("tmp", place.root + "/tmp", 0o1777),
        ("shm", place.root + "/dev/shm", 0o1777),
    ):
        source = f"/evalpool/box/{name}"
        os.mkdir(source)
        os.chmod(source, mode)
        os.chown(source, owner, owner)
        linux.mount(source, target, "", linux.MS_BIND)
    linux.umount("/evalpool/box")
    linux.mount("proc", place.root + "/proc", "proc", flags | linux.MS_NOEXEC, "hidepid=2,subset=pid")
    if place.root:
        linux.pivot(place.root)


def _show_origin() -> None:
    """Link what an image has in its working directory, which ours covers."""
    if place.origin:
        for name in os.listdir(place.origin):
            os.symlink(f"{place.origin}/{name}", name)


def _show_links() -> None:
    for path, target in place.links.items():
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.symlink(target, path)


def _limit(rlimits: list[tuple[int, int]]) -> None:
    for number, value in rlimits:
        resource.setrlimit(number, (value, value))


def _nest(uid: int) -> None:
    """Enter a user namespace of this cell's own: what it could do there, it cannot do to the jail."""
    linux.unshare(linux.CLONE_NEWUSER)
    for name, line in (("setgroups", "deny"), ("uid_map", f"{uid} 0 1"), ("gid_map", f"{uid} 0 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(line)
    linux.drop_bounding_set()


def _reseed() -> None:
    """Give this cell random state and a thread id of its own; a fork inherits its parent's."""
    random.seed()
    threading.main_thread()._set_native_id()  # type: ignore[attr-defined]  # noqa: SLF001  fork changed it
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()
    sympy_random = sys.modules.get("sympy.core.random")
    if sympy_random is not None:
        sympy_random.seed(None)
    multiprocessing = sys.modules.get("multiprocessing.process")
    if multiprocessing is not None:
        key = multiprocessing.AuthenticationString(os.urandom(32))
        multiprocessing.current_process()._config["authkey"] = key  # noqa: SLF001  as its own import does


def _receive(channel: socket.socket) -> tuple[dict[str, Any], list[bytes]]:
    head, body = protocol.unpack_head(_exactly(channel, protocol.HEAD_BYTES))
    return protocol.unpack_job(_exactly(channel, head), _exactly(channel, body))


def _exactly(channel: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        chunk = channel.recv(min(size - len(data), 1 << 20))
        if not chunk:
            os._exit(0)  # the host does not need this cell any more
        data += chunk
    return bytes(data)
