"""Limits that a job brings."""

from __future__ import annotations

import resource
from typing import Any


def bound_open_files(count: int) -> None:
    """Bound of descriptors, of this process and what it becomes."""
    # Not before the directory is sent: descriptors in flight are counted for all processes of a user of the machine,
    # and who has a low bound may send none while another program keeps as many in flight.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = count if hard == resource.RLIM_INFINITY else min(count, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))


def lower(header: dict[str, Any], *, stays: bool) -> None:
    """Set the limits of a job's header (see `program.Job`) here; `stays`: what this process has is the program's."""
    for name, value in header["rlimits"].items():
        _lower(getattr(resource, f"RLIMIT_{name}"), value)
    if header["data_bytes"] is not None:
        _lower(resource.RLIMIT_DATA, (_data_bytes() if stays else 0) + header["data_bytes"])


def _lower(limit: int, value: int) -> None:
    _, hard = resource.getrlimit(limit)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard - 1)
    # The hard limit too, or the program raises it again. CPU: SIGXCPU, then SIGKILL for who ignores that.
    resource.setrlimit(limit, (value, value + 1))


def _data_bytes() -> int:
    """Private writable memory of this process, touched or not."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[5]) * resource.getpagesize()
