"""Slots: the numbers that give each living cell a uid, a network namespace and a cgroup of its own."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from sandbox.errors import SandboxUnavailable

if TYPE_CHECKING:
    from sandbox.host.cgroup import CellGroup, Hierarchy

log = logging.getLogger(__name__)


class Slots:
    """Hands out numbers; a number comes back only when everything that ran under it is dead."""

    def __init__(self, count: int, hierarchy: Hierarchy | None, *, name: str, processes: int) -> None:
        self._free = list(reversed(range(count)))
        self._groups: dict[int, CellGroup] = {}
        self._hierarchy, self._name, self._processes = hierarchy, name, processes

    def take(self) -> int | None:
        """A free slot, lowest numbers first; None if all are in use."""
        return self._free.pop() if self._free else None

    def give(self, slot: int) -> None:
        """Free a slot."""
        self._free.append(slot)

    def group(self, slot: int) -> CellGroup | None:
        """Cgroup of a slot; None where only rlimits hold. Raises SandboxUnavailable."""
        if self._hierarchy is None:
            return None
        if slot not in self._groups:
            try:
                self._groups[slot] = self._hierarchy.group(f"{self._name}-{slot}", self._processes)
            except OSError as error:
                raise SandboxUnavailable(f"cannot make a cgroup: {error}") from error
        return self._groups[slot]

    def close(self) -> None:
        """Remove the cgroups; every cell must be dead."""
        for group in self._groups.values():
            group.close()
        self._groups.clear()
