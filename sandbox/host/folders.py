"""Reads what a dead cell left for us: files by glob, figures, values of expressions. For a thread: blocks.

Whatever is found there is what a hostile program chose to leave.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sandbox.host.outputs import collect

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sandbox.spec import Limits, RunSpec

_PNG = b"\x89PNG\r\n\x1a\n"
_TEXTS = frozenset({"text/plain", "text/html", "text/markdown", "text/latex", "image/svg+xml"})
_IMAGES = frozenset({"image/png", "image/jpeg"})
_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_FLAT = re.compile(rb"\{%b: %b(?:, %b: %b){0,6}+\}" % ((_STRING,) * 4), re.DOTALL)
"""A JSON object of a few strings, and nothing deeper: what a parser makes of a few MiB of brackets is a hundred."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """What came back besides the output (see `RunReport`)."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    figures: tuple[bytes, ...] = ()
    display: tuple[Mapping[str, str], ...] = ()


def read(folders: Sequence[int], spec: RunSpec) -> Brought:
    """Read the `folders` of `protocol.FOLDERS`. Raises OSError: one of them is no directory."""
    left, limits = list(folders), spec.limits
    files = collect(left.pop(0), spec.outputs, limits) if spec.outputs else {}
    if not left:
        return Brought(files=files)
    figures = _collect(left[0], "*.png", limits, limits.figures_count * spec.figures, limits.figures_bytes)
    values = _collect(left[0], "*.json", limits, limits.display_count * spec.display, limits.display_bytes)
    return Brought(
        files=files,
        figures=tuple(figure for figure in figures if figure.startswith(_PNG)),
        display=tuple(_bundles(values)),
    )


def _collect(folder: int, glob: str, limits: Limits, count: int, size_bytes: int) -> Iterable[bytes]:
    found = collect(folder, (glob,), replace(limits, files_count=count, files_bytes=size_bytes)) if count else {}
    return found.values()


def _bundles(values: Iterable[bytes]) -> Iterator[dict[str, str]]:
    for value in values:
        if not _FLAT.fullmatch(value):
            continue
        try:
            bundle: dict[str, str] = json.loads(value)
        except ValueError:
            continue
        if all(_is_representation(kind, shown) for kind, shown in bundle.items()):
            yield bundle


def _is_representation(kind: str, shown: str) -> bool:
    try:
        if kind in _IMAGES:
            base64.b64decode(shown, validate=True)
        else:
            shown.encode()
    except (binascii.Error, ValueError):
        return False
    return kind in _IMAGES or kind in _TEXTS
