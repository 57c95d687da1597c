"""Slots: the numbers that give each living cell a uid, a network namespace and a cgroup of its own."""

from __future__ import annotations

import heapq
import itertools
import logging
import time
from typing import TYPE_CHECKING

from sandbox.errors import SandboxUnavailable

if TYPE_CHECKING:
    from sandbox.host.cgroup import CellGroup, Hierarchy

log = logging.getLogger(__name__)
_PATIENCE_S, _PAUSE_S = 3.0, 0.005


class Slots:
    """Hands out numbers; a number comes back only when everything that ran under it is dead."""

    def __init__(self, count: int, hierarchy: Hierarchy | None, *, name: str) -> None:
        self._room = count
        self._next = 0
        self._free: list[int] = []
        self._groups: dict[int, CellGroup] = {}
        self._spent: list[CellGroup] = []
        """Groups that other cells' leavings are charged to, and that are not gone yet."""
        self._serial = itertools.count()
        self._hierarchy, self._name = hierarchy, name

    def grow(self, by: int) -> None:
        """Make room for so many more; negative: for fewer."""
        self._room += by

    def take(self) -> int | None:
        """A free slot, lowest numbers first; None if as many are in use as there is room for."""
        if self._next - len(self._free) >= self._room:
            return None
        if self._free:
            return heapq.heappop(self._free)
        self._next += 1
        return self._next - 1

    def give(self, slot: int) -> None:
        """Free a slot."""
        heapq.heappush(self._free, slot)

    def group(self, slot: int, processes: int) -> CellGroup | None:
        """Cgroup of a slot, with room for so many processes; None where only rlimits hold. Raises SandboxUnavailable.

        The processes of an earlier cell are dead.
        """
        if self._hierarchy is None:
            return None
        try:
            if slot in self._groups and self._groups[slot].is_spent:
                self._spent.append(self._groups.pop(slot))
                self._spent = [group for group in self._spent if not group.remove()]
            if slot not in self._groups:
                self._groups[slot] = self._hierarchy.group(f"{self._name}-{next(self._serial)}")
            self._groups[slot].limit_processes(processes)
        except OSError as error:
            raise SandboxUnavailable(f"cannot make a cgroup: {error}") from error
        return self._groups[slot]

    def close(self) -> None:
        """Remove the cgroups; every cell must be dead. Waits, for a while, until the kernel has let go of them.

        Who dies on a machine that is full, with the small share of a program, takes its time.
        """
        left, until = [*self._groups.values(), *self._spent], time.monotonic() + _PATIENCE_S
        while (left := [group for group in left if not group.remove()]) and time.monotonic() < until:
            time.sleep(_PAUSE_S)
        self._groups.clear()
        self._spent.clear()
