"""What stands in for functions that Python 3.8 lacks."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from sandbox.guest import linux


def test_descriptors_come_whole_or_not_at_all() -> None:
    """A zygote that took some of a cell's would fork it without the last ones: those by which it joins its cgroups."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        before = set(Path("/proc/self/fd").iterdir())
        socket.send_fds(ours, [b"x"], [0, 1, 2])
        with pytest.raises(OSError, match="Too many open files"):
            linux.recv_fds(theirs, 10, 2)
        assert set(Path("/proc/self/fd").iterdir()) == before

        socket.send_fds(ours, [b"y"], [0, 1])
        data, fds = linux.recv_fds(theirs, 10, 2)
        assert (data, len(fds)) == (b"y", 2)
        for fd in fds:
            assert Path(f"/proc/self/fd/{fd}").exists()
            os.close(fd)
