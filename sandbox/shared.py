"""What the sandboxes of one process share: slots, cgroups, warm cells, and how many programs run at a time."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
from typing import TYPE_CHECKING

from sandbox.host.cgroup import find_hierarchy
from sandbox.host.compiled import Compiled
from sandbox.host.slots import Slots
from sandbox.host.warmth import Warmth

if TYPE_CHECKING:
    from sandbox.config import SandboxConfig
    from sandbox.host.cgroup import Hierarchy

log = logging.getLogger(__name__)
_serial = itertools.count()


class Shared:
    """Made once, given to each `Sandbox`; close it after the last of them."""

    def __init__(self, config: SandboxConfig) -> None:
        self.hierarchy = _hierarchy() if config.cgroups else None
        self.busy = asyncio.Semaphore(config.slots)
        self.warmth = Warmth(config.warm or config.slots)
        self.compiled = Compiled(config.compiled_bytes)
        self.slots = Slots(config.slots, self.hierarchy, name=f"evalpool-{os.getpid()}-{next(_serial)}")

    def close(self) -> None:
        """Remove the cgroups; every cell must be dead."""
        self.slots.close()


def _hierarchy() -> Hierarchy | None:
    hierarchy = find_hierarchy()
    if hierarchy is not None:
        try:
            hierarchy.prepare()
        except OSError as error:
            log.warning("no cgroups: %s", error, extra={"event": "no_cgroups"})
            return None
    return hierarchy
