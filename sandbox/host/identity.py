"""What this process may do for its cells: uids of their own, and a private view of what root's folders hide.

Root is not one thing. In a container it may lack capabilities, and in a user namespace most uids.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from sandbox.errors import SandboxUnavailable

_SELF = Path("/proc/self")
_SETGID, _SETUID, _SYS_ADMIN = 6, 7, 21
NO_UID_FIX = "add CAP_SETUID and CAP_SETGID, or run as an ordinary user"
_UIDS = (range(100_000, 165_536), range(50_000, 65_536))
"""Where the uids of a jail may lie. The second is for a user namespace with 65,536 ids, such as a container's own."""


def uid_range() -> range | None:
    """The uids (and gids) that a jail is given, 0 in it being the first; None: this process can give its own only.

    Raises SandboxUnavailable for a root that can give nothing at all.
    """
    if os.geteuid() != 0:
        return None
    if not _holds(_SETUID, _SETGID):
        raise SandboxUnavailable("this root may give no uid away: " + NO_UID_FIX)
    return next((uids for uids in _UIDS if all(_maps(kind, uids) for kind in ("uid", "gid"))), None)


def can_stage() -> bool:
    """Whether this process may mount, and so show a jail what lies below folders that only root may enter."""
    return os.geteuid() == 0 and _holds(_SYS_ADMIN)


def require_reachable(*paths: Path) -> None:
    """Raise SandboxUnavailable if an ordinary uid, as the jail's are, cannot reach one of `paths`."""
    for path in paths:
        for folder in reversed([path, *path.parents]):
            if folder.is_dir() and not folder.stat().st_mode & stat.S_IXOTH:
                raise SandboxUnavailable(f"only root may enter {folder}: chmod o+x {folder}, or add CAP_SYS_ADMIN")


def _holds(*capabilities: int) -> bool:
    status = (_SELF / "status").read_text()
    effective = int(status.partition("CapEff:")[2].split()[0], 16)
    return all(effective >> capability & 1 for capability in capabilities)


def _maps(kind: str, ids: range) -> bool:
    spans = [tuple(map(int, line.split())) for line in (_SELF / f"{kind}_map").read_text().splitlines()]
    return any(first <= ids.start and ids.stop <= first + count for first, _, count in spans)
