"""What is mounted where: read-only, always."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Bind:
    """A read-only bind mount; `hidden` if an ordinary uid may be unable to reach the source."""

    source: str
    target: str
    hidden: bool
