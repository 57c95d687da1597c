"""What every cell of a sandbox is told about its walls, as the boot message of its zygote."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from sandbox.host.seccomp import compile_policy

if TYPE_CHECKING:
    from sandbox.config import CellLimits


def walls_for(cell: CellLimits, *, own_uids: bool, counted: bool) -> dict[str, Any]:
    """Build the `walls` part of the boot message (see `guest.cell.Walls`); `counted`: cgroups count memory."""
    return {
        "own_uids": own_uids,
        "tmpfs": f"size={cell.disk_bytes},nr_inodes={cell.inodes}",
        "rlimits": {
            "NPROC": cell.processes,
            "FSIZE": cell.file_bytes,
            "CORE": 1,  # not 0: that would still feed a core_pattern that is a pipe; 1 dumps nowhere
            "SIGPENDING": 1024,
            # Both are counted for all cells of a jail together too: what one takes is not there for the others.
            "MEMLOCK": 64 << 10,
            "MSGQUEUE": 0,
        },
        "open_files": cell.open_files,
        "filter": base64.b64encode(compile_policy(trace=False, counted=counted)).decode(),
        "trace_filter": base64.b64encode(compile_policy(trace=True, counted=counted)).decode(),
        "nice": cell.nice,
    }
