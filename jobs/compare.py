"""Whether what a program printed is what was expected: pure, linear in both texts, never in a sandbox.

White space is ASCII's (blank, tab, line ends, vertical tab, form feed); a line ends with a line feed.
"""

from __future__ import annotations

import asyncio
import math
import re
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from jobs.model import Comparison, Status, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLANKS = " \t\n\r\v\f"
_LINE_BLANKS = " \t\r\v\f"
_TOKEN = re.compile(rf"[^{_BLANKS}]+")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_MAX_NUMBER = 512
"""Longer tokens are compared as text: no float has so many digits, and its conversion takes its time."""

_ASIDE = 64 << 10
"""Characters from which on texts are compared in a thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparator:
    """A comparison and its tolerances: a number passes that meets either of them."""

    comparison: Comparison = Comparison.TRIMMED
    absolute: float = 0.0
    relative: float = 0.0
    """Of the expected number."""

    def verdict(self, status: Status, stdout: str, expected: str | None) -> Verdict | None:
        """Judge a case: only a program that ended with `ok` can pass. `expected` None: that is enough."""
        if status in (Status.INTERNAL, Status.CANCELLED):
            return None
        passed = status is Status.OK and (expected is None or self.same(stdout, expected))
        return Verdict.PASSED if passed else Verdict.FAILED

    async def judged(self, status: Status, stdout: str, expected: str | None) -> Verdict | None:
        """`verdict`, of long texts in a thread."""
        if expected is not None and len(expected) + len(stdout) > _ASIDE:
            return await asyncio.to_thread(self.verdict, status, stdout, expected)
        return self.verdict(status, stdout, expected)

    def same(self, printed: str, expected: str) -> bool:
        """Whether the texts are the same, as this comparison sees it."""
        if printed == expected:
            return True
        if self.comparison is Comparison.EXACT:
            return False
        if self.comparison is Comparison.TRIMMED:
            return _all_same(_lines(printed), _lines(expected))
        if self.comparison is Comparison.TOKENS:
            return _all_same(_tokens(printed), _tokens(expected))
        pairs = zip_longest(_tokens(printed), _tokens(expected))
        return all(one == other or self._close(one, other) for one, other in pairs)

    def _close(self, printed: str | None, expected: str | None) -> bool:
        one, other = _number(printed), _number(expected)
        if one is None or other is None:
            return False
        # Not `math.isclose`, whose relative tolerance is of the larger number: what is printed must not widen it.
        allowed = max(self.absolute, self.relative * abs(other))
        # A number too large for a float is near nothing: it, and what is allowed around it, are infinite.
        return abs(one - other) <= allowed < math.inf


def _all_same(one: Iterator[str], other: Iterator[str]) -> bool:
    return all(a == b for a, b in zip_longest(one, other))


def _lines(text: str) -> Iterator[str]:
    return (line.rstrip(_LINE_BLANKS) for line in text.rstrip(_BLANKS).split("\n"))


def _tokens(text: str) -> Iterator[str]:
    return (found.group() for found in _TOKEN.finditer(text))


def _number(token: str | None) -> float | None:
    if token is None or len(token) > _MAX_NUMBER or not _NUMBER.fullmatch(token):
        return None
    return float(token)
