"""Compiled programs by what they were made of: in memory, bounded in bytes, the least used dropped first.

Programs have no way to it: a cell is handed the bytes of its own program, over its own socket. An entry is written by
the host alone, from what a compile cell left that had seen nothing but the parts that make the key. So whoever wants
to put something of theirs under a key must send exactly those parts, and then it is their own program.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sandbox.spec import CompileReport, RunSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A compiled program, and what was said while it was made."""

    binary: bytes
    report: CompileReport

    @property
    def size_bytes(self) -> int:
        """What it takes in memory."""
        return len(self.binary) + len(self.report.stdout) + len(self.report.stderr)

    def spec_of(self, spec: RunSpec, name: str) -> RunSpec:
        """Run it as the file `name` beside the source of `spec`."""
        return replace(spec, files={**spec.files, name: self.binary}, executables=(*spec.executables, name))


class Compiled:
    """At most `bound_bytes` of compiled programs."""

    def __init__(self, bound_bytes: int) -> None:
        self._bound_bytes = bound_bytes
        self._kept: OrderedDict[bytes, Built] = OrderedDict()
        self.size_bytes = 0

    def get(self, key: bytes) -> Built | None:
        """What was kept, marked as cached."""
        built = self._kept.get(key)
        if built is None:
            return None
        self._kept.move_to_end(key)
        return replace(built, report=replace(built.report, cached=True))

    def keep(self, key: bytes, built: Built) -> None:
        """Keep a program, unless it alone would take a quarter of the room."""
        if built.size_bytes > self._bound_bytes // 4 or key in self._kept:
            return
        self._kept[key] = built
        self.size_bytes += built.size_bytes
        while self.size_bytes > self._bound_bytes:
            _, dropped = self._kept.popitem(last=False)
            self.size_bytes -= dropped.size_bytes


def key_of(parts: Iterable[bytes]) -> bytes:
    """Digest of the parts, in their order; no two lists of parts have the same."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()
