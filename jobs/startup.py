"""What a process says when its settings keep it from starting: one sentence for each, naming the variable."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import ValidationError


def faults(error: ValidationError) -> Iterator[str]:
    """One line per fault of a settings class with the prefix EVAL_; no value is told, it may be a secret."""
    for one in error.errors(include_input=False, include_url=False):
        name = f"EVAL_{'_'.join(map(str, one['loc'])).upper()}: " if one["loc"] else ""
        yield f"{name}{one['msg'].removeprefix('Value error, ')}"
