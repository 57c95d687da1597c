"""Faults that pydantic finds, in our words: which field, and what it must be; never what it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.checks import file_field
from api.errors import FieldError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic_core import ErrorDetails

CONTENT = 'must be text or {"base64": text}'
TOLERANCE = 'must be a number or {"absolute": number, "relative": number}'
NESTED = "is nested too deeply"
UNKNOWN = "is not a field of this request"
REQUIRED = "is required"
SURROGATE = "must be valid Unicode text; a lone surrogate (half of a pair of \\u escapes) is none"
_SHOWN = 64
_WORDS = {
    "missing": REQUIRED,
    "extra_forbidden": UNKNOWN,
    "string_type": "must be a string",
    "string_unicode": "must be valid Unicode",
    "string_too_long": "must be at most {max_length} characters",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "int_type": "must be an integer",
    "int_parsing": "must be an integer",
    "int_from_float": "must be an integer",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "too_long": "must be at most {max_length}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
    "json_invalid": "is not valid JSON ({error})",
    "recursion_loop": NESTED,
}
_TAGS = frozenset({"float", "Tolerance", "BatchItem", "JudgeItem"})
"""What pydantic calls the members of unions, in the place of a field."""
_CALLERS_NAMES = frozenset({"env", "metadata", "files"})
"""Fields whose own fields the caller names: there a tag is a name like any other."""


def told(found: Iterable[ErrorDetails]) -> list[FieldError]:
    """All of them, each once."""
    faults = dict.fromkeys(map(named, found))
    # Of an object where a number would do too, what is wrong inside it says all.
    deeper = {fault.field.rpartition(".")[0] for fault in faults}
    return [fault for fault in faults if fault.message != TOLERANCE or fault.field not in deeper]


def named(error: ErrorDetails) -> FieldError:
    """One of them."""
    loc, kind = _untagged(error["loc"]), error["type"]
    if (at := _files_at(loc)) is not None and loc[-1] != "[key]":
        return FieldError(".".join([*map(str, loc[:at]), file_field(str(loc[at + 1]))]), CONTENT)
    if loc[-1:] == ("tolerance",) and kind in ("float_type", "model_type"):
        return FieldError(field_of(*loc), TOLERANCE)
    bounds = {name: _plain(bound) for name, bound in error.get("ctx", {}).items()}
    if kind == "json_invalid" and "hex escape" in (why := str(bounds["error"])):
        return FieldError("body", f"{SURROGATE} ({why[why.rfind('line') :]})")
    return FieldError(field_of(*loc), _WORDS.get(kind, "is not valid").format(**bounds))


def field_of(*loc: str | int) -> str:
    """How an error names a field: readable, bounded, one line."""
    field = ".".join(str(part)[:_SHOWN] for part in loc) or "body"
    return field.encode("unicode_escape").decode()


def _untagged(loc: tuple[str | int, ...]) -> tuple[str | int, ...]:
    named = _CALLERS_NAMES | _TAGS
    above = ("", *loc)
    return tuple(part for over, part in zip(above, loc, strict=False) if part not in _TAGS or over in named)


def _files_at(loc: tuple[str | int, ...]) -> int | None:
    """Where `files` is in it, if what is wrong is one of them."""
    for at, part in enumerate(loc[:-1]):
        if part in _CALLERS_NAMES:
            return at if part == "files" else None
    return None


def _plain(bound: object) -> object:
    """60 for 60.0."""
    return int(bound) if isinstance(bound, float) and bound.is_integer() else bound
