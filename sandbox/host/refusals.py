"""The part of a filter that refuses calls by their arguments, as BPF that stands before what libseccomp makes.

libseccomp can allow a call if its arguments are such, not unless they are: it has no "not equal" for half a word, and
what several rules say of one call is an "or". Here the first rule that holds answers, and what none answers goes on.
"""

from __future__ import annotations

import struct
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Condition = Mapping[str, int]

WHOLE = 0xFFFFFFFF
"""The kernel looks at the lower half of these arguments only (they are ints): so must the filter."""
_LOAD, _AND, _IF_EQUAL, _JUMP, _RETURN = 0x20, 0x54, 0x15, 0x05, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_ERRNO = 0x00050000
_Code = list[tuple[int, int, int, int]]


class Refusal(NamedTuple):
    """One rule."""

    number: int
    """Of the call."""
    when: Sequence[Condition]
    """These must all hold."""
    error: int
    """What it is answered with; 0: success, and nothing is done."""


def refusals(architecture: int, rules: Iterable[Refusal]) -> bytes:
    """Answer where a rule holds; fall through otherwise, and for calls of another architecture."""
    by_number = groupby(sorted(rules, key=lambda rule: rule.number), key=lambda rule: rule.number)
    blocks = [_block(number, group) for number, group in by_number]
    code: _Code = [(_LOAD, 0, 0, _NUMBER_AT)]
    rest = sum(map(len, blocks))
    for block in blocks:
        rest -= len(block)
        code += [*block[:-1], (_JUMP, 0, 0, rest)]
    code = [(_LOAD, 0, 0, _ARCHITECTURE_AT), (_IF_EQUAL, 1, 0, architecture), (_JUMP, 0, 0, len(code)), *code]
    return b"".join(struct.pack("=HBBI", *step) for step in code)


def _block(number: int, rules: Iterable[Refusal]) -> _Code:
    """Look at one call; skipped if it is another one. The last step stands for the jump to the end."""
    body = [step for rule in rules for step in _rule(rule)]
    return [(_IF_EQUAL, 0, len(body) + 1, number), *body, (_JUMP, 0, 0, 0)]


def _rule(rule: Refusal) -> _Code:
    steps: _Code = []
    for condition in rule.when:
        # The lower half: both machines that we know are little-endian.
        steps += [(_LOAD, 0, 0, _ARGUMENTS_AT + 8 * condition["argument"])]
        mask = condition.get("mask", WHOLE)
        steps += [(_AND, 0, 0, mask)] if mask != WHOLE else []
        steps += [(_IF_EQUAL, 0, 0, condition["equals"])]
    steps.append((_RETURN, 0, 0, _ERRNO | rule.error))
    last = len(steps) - 1
    return [(code, 0, last - at if code == _IF_EQUAL else 0, value) for at, (code, _, _, value) in enumerate(steps)]
