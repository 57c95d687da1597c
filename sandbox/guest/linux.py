"""The system calls that Python 3.8 to 3.14 lack a wrapper for, through libc. Standard library only.

Every function raises OSError on failure. Constants are those of the Linux headers (x86_64 and aarch64 agree).
"""

from __future__ import annotations

import array
import ctypes
import errno
import fcntl
import os
import socket
import struct

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_NOATIME, MS_NODIRATIME, MS_RELATIME = 1 << 10, 1 << 11, 1 << 21
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 32, 4096, 16384, 1 << 18

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 47, 4

_PIDFD_OPEN = 434  # on every architecture
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
_ST_RELATIME = 4096
_CAPABILITY_VERSION_3 = 0x20080522
_EINVAL = 22
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1

_libc = ctypes.CDLL(None, use_errno=True)
# Looked up once, before the first fork: ctypes and the linker copy 40 memory pages for it.
_fork = ctypes.PyDLL(None, use_errno=True).fork  # with the GIL
_mount, _umount2, _pivot_root = _libc.mount, _libc.umount2, _libc.pivot_root
_unshare, _setns, _prctl, _capset, _syscall = _libc.unshare, _libc.setns, _libc.prctl, _libc.capset, _libc.syscall
_mount.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p)
_prctl.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong)


def _check(result: int, what: str, *where: object) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what % where}: {os.strerror(code)}")
    return result


def fork() -> int:
    """fork(2) of a single-threaded interpreter, without Python's own at-fork handlers.

    Those make new locks and re-count threads, which one thread has no need of, and they touch 180 memory pages
    (a third of a cell's copy-on-write faults before its job). Random state is the caller's to renew.
    """
    return _check(_fork(), "fork")


def unshare(flags: int) -> None:
    """Move the caller (its next children, for CLONE_NEWPID) into new namespaces."""
    _check(_unshare(flags), "unshare(%#x)", flags)


def setns(fd: int, kind: int) -> None:
    """Join the namespace behind `fd`."""
    _check(_setns(fd, kind), "setns(%#x)", kind)


def pidfd_open(pid: int) -> int:
    """Descriptor of a process (os.pidfd_open of Python 3.9)."""
    return _check(_syscall(_PIDFD_OPEN, pid, 0), "pidfd_open")


def send_fds(channel: socket.socket, data: bytes, fds: list[int]) -> None:
    """Send descriptors with `data` (socket.send_fds of Python 3.9)."""
    channel.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])


def recv_fds(channel: socket.socket, size: int, most: int) -> tuple[bytes, list[int]]:
    """One packet and up to `most` descriptors, which no exec inherits (socket.recv_fds of Python 3.9).

    All that were sent, or OSError: a cell that lacked some would not join its cgroups.
    """
    fds = array.array("i")
    data, ancillary, flags, _ = channel.recvmsg(size, socket.CMSG_LEN(most * fds.itemsize), socket.MSG_CMSG_CLOEXEC)
    for level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(content[: len(content) - len(content) % fds.itemsize])
    if flags & socket.MSG_CTRUNC:
        for fd in fds:
            os.close(fd)
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    return data, list(fds)


def mount(source: str, target: str, fstype: str = "", flags: int = 0, data: str = "") -> None:
    """mount(2)."""
    result = _mount(source.encode(), target.encode(), fstype.encode() or None, flags, data.encode() or None)
    _check(result, "mount %s on %s", source, target)


def make_read_only(target: str) -> None:
    """Remount what is at `target` read-only, with whatever flags it has: a user namespace may take none off."""
    flags = os.statvfs(target).f_flag  # ST_* and MS_* are the same numbers, but for one
    kept = flags & (MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME)
    relatime = MS_RELATIME if flags & _ST_RELATIME else 0
    mount("none", target, "", MS_REMOUNT | MS_BIND | MS_RDONLY | kept | relatime)


def prctl(option: int, arg2: int = 0, arg3: int = 0) -> int:
    """prctl(2) with plain numbers."""
    return _check(_prctl(option, arg2, arg3, 0, 0), "prctl(%d)", option)


def drop_bounding_set() -> None:
    """Empty the capability bounding set, so that no exec can ever give a capability back."""
    for capability in range(64):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError as error:
            if error.errno != _EINVAL:  # EINVAL: past the last capability this kernel knows
                raise
            return


def drop_capabilities() -> None:
    """Give up every capability: effective, permitted, inheritable, ambient."""
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    _check(_capset(header, b"\0" * 24), "capset")


class SeccompFilter(ctypes.Structure):
    """A classic BPF program (an array of 8-byte instructions): `struct sock_fprog`."""

    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_char_p))

    def __init__(self, program: bytes) -> None:
        super().__init__(len(program) // 8, program)


def load_seccomp(program: SeccompFilter) -> None:
    """Install the filter on this process and all that it starts."""
    _check(_prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(program), 0, 0), "seccomp")


def loopback_up(socket_fd: int) -> None:
    """Bring `lo` up in the network namespace of `socket_fd`, any AF_INET socket."""
    request = struct.pack("16sH14x", b"lo", 0)
    flags = struct.unpack("16sH14x", fcntl.ioctl(socket_fd, _SIOCGIFFLAGS, request))[1]
    fcntl.ioctl(socket_fd, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | _IFF_UP))


def umount(target: str) -> None:
    """Detach a mount."""
    _check(_umount2(target.encode(), 2), "umount %s", target)


def pivot(root: str) -> None:
    """Make the mount `root` the root of this mount namespace; what was above it is gone."""
    os.chdir(root)
    _check(_pivot_root(b".", b"."), "pivot_root %s", root)
    umount(".")  # the old root: it lies on top
    os.chdir("/")
