"""What the helper of a started command does for one job, as system calls: files, limits, words for the prelude.

The same as `guest.program.prepare` does in a cell in which nothing was started.
"""

from __future__ import annotations

import errno
import math
import os
import resource
import struct
from typing import TYPE_CHECKING

from sandbox.guest import protocol
from sandbox.host import helper_elf as helper
from sandbox.host.calls import WHATEVER, leap, record
from sandbox.preludes import words

if TYPE_CHECKING:
    from sandbox.environment import Environment
    from sandbox.spec import RunSpec

_AT_FDCWD = -100
_FREE_FD = 0
"""What the next call to open gives: the helper has closed its standard descriptors."""
_MESSAGE = struct.Struct("<QI4xQQQQi4x")  # struct msghdr
_VECTOR = struct.Struct("<QQ")  # struct iovec
_RIGHTS = struct.Struct("<Qiii4x")  # struct cmsghdr, and one descriptor
_LIMIT = struct.Struct("<QQ")


def errand(spec: RunSpec, environment: Environment, *, data_bytes: int | None) -> bytes:
    """All that the helper is sent. `data_bytes`: private memory of the program, None: no bound but the cgroup's."""
    list_ = _List()
    if environment.image is not None:
        for top in dict.fromkeys(path.partition("/")[0] for path in (environment.filename, *spec.files)):
            list_.call("unlinkat", _AT_FDCWD, list_.text(top), 0, least=WHATEVER)  # a link to what the image has there
    _files(list_, {environment.filename: spec.code.encode(), **spec.files})
    for path in spec.executables:
        list_.call("fchmodat", _AT_FDCWD, list_.text(path), 0o755)
    if spec.outputs:
        _send_folder(list_)
    if spec.limits.cpu_s is not None:
        _lower(list_, resource.RLIMIT_CPU, math.ceil(spec.limits.cpu_s))
    if data_bytes is not None:
        _lower(list_, resource.RLIMIT_DATA, data_bytes)
    _write(list_, helper.JOB_FD, words(environment.warm, spec, helper.HELPER_PID))
    list_.call("write", helper.CHANNEL_FD, list_.hold(protocol.PLACED), len(protocol.PLACED))
    list_.call("exit_group", 0)
    return list_.packed()


class _List:
    """Calls, and the data that they point to."""

    def __init__(self) -> None:
        self._data: list[bytes] = []
        self._size = 0
        self._calls: list[bytes] = []

    def hold(self, data: bytes) -> int:
        """Address at which the helper will have it."""
        address = helper.REST + self._size
        self._data.append(data + bytes(-len(data) % 8))
        self._size += len(self._data[-1])
        return address

    def text(self, text: str) -> int:
        """Address of a path. Raises ValueError: no file can have that name."""
        if "\0" in text:
            raise ValueError("a path holds a null character")
        return self.hold(os.fsencode(text) + b"\0")

    def call(self, name: str, *args: int, least: int = 0) -> None:
        self._calls.append(record(name, *args, least=least))

    def packed(self) -> bytes:
        rest = b"".join((*self._data, *self._calls))
        anywhere = helper.PROT_READ_WRITE, helper.MAP_PRIVATE_FIXED_ANONYMOUS, -1, 0
        return b"".join((
            record("mmap", helper.REST, len(rest), *anywhere, least=helper.REST),
            record("recvfrom", helper.CHANNEL_FD, helper.REST, len(rest), helper.MSG_WAITALL, 0, 0, least=len(rest)),
            leap(helper.REST + self._size),
            rest,
        ))  # fmt: skip


def _files(list_: _List, files: dict[str, bytes]) -> None:
    made = set()
    for path, data in files.items():
        parts = path.split("/")
        for folder in ("/".join(parts[:depth]) for depth in range(1, len(parts))):
            if folder and folder not in made:
                made.add(folder)
                list_.call("mkdirat", _AT_FDCWD, list_.text(folder), 0o777, least=-errno.EEXIST)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        list_.call("openat", _AT_FDCWD, list_.text(path), flags, 0o644)
        _write(list_, _FREE_FD, data)
        list_.call("close", _FREE_FD)


def _write(list_: _List, fd: int, data: bytes) -> None:
    if data:
        list_.call("write", fd, list_.hold(data), len(data), least=len(data))


def _send_folder(list_: _List) -> None:
    """Send the working directory, which the host is to read when the program is dead."""
    list_.call("openat", _AT_FDCWD, list_.text("."), os.O_RDONLY | os.O_DIRECTORY, 0)
    vector = _VECTOR.pack(list_.hold(protocol.FOLDERS), len(protocol.FOLDERS))
    rights = _RIGHTS.pack(_RIGHTS.size - 4, 1, 1, _FREE_FD)  # SOL_SOCKET, SCM_RIGHTS
    message = _MESSAGE.pack(0, 0, list_.hold(vector), 1, list_.hold(rights), len(rights), 0)
    list_.call("sendmsg", helper.CHANNEL_FD, list_.hold(message), 0, least=len(protocol.FOLDERS))
    list_.call("close", _FREE_FD)


def _lower(list_: _List, limit: int, value: int) -> None:
    """As `guest.limits.lower`, for the command."""
    _, hard = resource.getrlimit(limit)  # the jail's, too
    value = value if hard == resource.RLIM_INFINITY else min(value, hard - 1)
    list_.call("prlimit64", helper.COMMAND_PID, limit, list_.hold(_LIMIT.pack(value, value + 1)), 0)
