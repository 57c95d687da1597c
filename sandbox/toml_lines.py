"""In which line of a TOML text a key stands: `tomllib` tells that of syntax errors only."""

from __future__ import annotations

import re

_HEADER = re.compile(r"\s*\[\s*(?P<path>[^\[\]]+)\s*\]\s*(#.*)?$")
_PART = re.compile(r"""\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([\w-]+))\s*(?:\.|$)""")
_KEY = re.compile(r"""\s*(?P<path>(?:"[^"]*"|'[^']*'|[\w.-])+)\s*=""")
_FENCE = re.compile(r'"""|' + "'''")


def line_of(text: str, table: str, key: str | None) -> int:
    """Line of `key` in `table`, or of the table's header; 1 if neither is to be seen."""
    header, here, fences = 1, [], 0
    for number, line in enumerate(text.splitlines(), 1):
        inside, fences = fences % 2, fences + len(_FENCE.findall(line))
        if inside:
            continue
        if found := _HEADER.match(line):
            here = _parts(found["path"])
            if here[:1] == [table] and (header == 1 or len(here) == 1):
                header = number
            if here[:2] == [table, key]:
                return number
        elif (found := _KEY.match(line)) and (here + _parts(found["path"]))[:2] == [table, key]:
            return number
        elif found and header == 1 and (here + _parts(found["path"]))[:1] == [table]:
            header = number
    return header


def _parts(path: str) -> list[str]:
    """Parts of a dotted key."""
    return ["".join(match.groups("")) for match in _PART.finditer(path)]
