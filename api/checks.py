"""What the values of a request may be: pure functions from values to `FieldError`s.

JSON text cannot bring lone surrogates or NaN this far (the parser refuses both), NUL can.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from api.errors import FieldError, InvalidRequest, TooLarge
from jobs.model import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence

    from api.schemas import EvalRequest
    from api.settings import ApiSettings

MIN_MEMORY_BYTES = 16 << 20
"""Below it no interpreter starts."""
MAX_STRINGS = 1_000
"""Arguments, variables: each so many at most."""
MAX_STRING_BYTES = (128 << 10) - 1
"""What the kernel takes as one argument or variable (MAX_ARG_STRLEN)."""
MAX_ARGUMENT_BYTES = 1 << 20
"""Arguments and variables together; half of what the kernel takes."""
MAX_OUTPUTS = 100
MAX_PATH_BYTES = 1_024
MAX_PART_BYTES = 255
MAX_PATH_PARTS = 32

_NUL = "must not contain NUL"
MAIN = "main.py"
"""The file that the program becomes; no submitted file may have its name."""
_ENVIRONMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}")


def check(request: EvalRequest, bounds: ApiSettings) -> None:
    """Raise TooLarge for the first oversized field, else InvalidRequest with every bad one."""
    sized("code", request.code, bounds.max_code_bytes)
    sized("stdin", request.stdin, bounds.max_stdin_bytes)
    errors = [*_code(request.code), *_limits(request, bounds)]
    if request.files:
        # What the program of another environment is called, its worker knows.
        errors += _names(request.files, bounds, MAIN if request.environment == DEFAULT else "")
    if request.args or request.env:
        errors += arguments(request.args, request.env)
    if request.outputs:
        errors += _outputs(request.outputs)
    if request.display and not request.interpreter_mode:
        errors.append(FieldError("display", "needs interpreter_mode"))
    if errors:
        raise InvalidRequest(errors)


def sized(field: str, text: str, bound_bytes: int) -> None:
    """Raise TooLarge if the text is, as UTF-8."""
    if len(text) > bound_bytes or (not text.isascii() and len(text.encode()) > bound_bytes):
        raise TooLarge(field=field, bound_bytes=bound_bytes)


def _code(code: str) -> Iterator[FieldError]:
    if not code:
        yield FieldError("code", "must not be empty")
    if "\0" in code:
        yield FieldError("code", _NUL)


def _limits(request: EvalRequest, bounds: ApiSettings) -> Iterator[FieldError]:
    timeout_s, memory_bytes = request.timeout_s, request.memory_bytes
    if timeout_s is not None and timeout_s <= 0:
        yield FieldError("timeout_s", "must be above 0")
    if timeout_s is not None and timeout_s > bounds.max_timeout_s:
        yield FieldError("timeout_s", f"must be at most {bounds.max_timeout_s:g}")
    if memory_bytes is not None and not MIN_MEMORY_BYTES <= memory_bytes <= bounds.max_memory_bytes:
        yield FieldError("memory_bytes", f"must be {MIN_MEMORY_BYTES} to {bounds.max_memory_bytes}")
    if not _ENVIRONMENT.fullmatch(request.environment):
        yield FieldError("environment", "is not the name of an environment")


def _names(files: Mapping[str, object], bounds: ApiSettings, program: str) -> Iterator[FieldError]:
    if len(files) > bounds.max_files:
        yield FieldError("files", f"must be at most {bounds.max_files} files")
        return
    taken = {*files, program}
    for name in files:
        if fault := path_fault(name) or clash(name, taken, program):
            yield FieldError(file_field(name), fault)


def file_field(name: str) -> str:
    """How an error names a submitted file: readable, bounded, one line."""
    shown = name if len(name) <= 64 else name[:64] + "..."  # noqa: PLR2004 (a length to read at a glance)
    return f"files.{shown.encode('unicode_escape').decode()}"


def path_fault(path: str) -> str | None:
    """Why a path cannot be used below the working directory; None if it can."""
    parts = path.split("/")
    if not path:
        return "its name must not be empty"
    if "\0" in path:
        return _NUL
    if path.startswith("/"):
        return "must be relative, not absolute"
    if ".." in parts or "." in parts or "" in parts:
        return "must have no empty, '.' or '..' part"
    if len(path.encode()) > MAX_PATH_BYTES or len(parts) > MAX_PATH_PARTS:
        return f"must be at most {MAX_PATH_BYTES} bytes and {MAX_PATH_PARTS} parts"
    if any(len(part.encode()) > MAX_PART_BYTES for part in parts):
        return f"each part must be at most {MAX_PART_BYTES} bytes"
    return None


def clash(name: str, taken: Container[str], program: str = MAIN) -> str | None:
    """Why a file cannot stand beside those that are `taken`; None if it can."""
    if name == program:
        return "is the name of the program itself"
    parts = name.split("/")
    if any("/".join(parts[:depth]) in taken for depth in range(1, len(parts))):
        return "needs a directory where there is a file"
    return None


def arguments(args: Sequence[str], env: Mapping[str, str]) -> Iterator[FieldError]:
    """What the kernel would not take as arguments and variables."""
    named = [*((f"args.{index}", arg) for index, arg in enumerate(args)), *_variables(env)]
    for field, text in named:
        if "\0" in text:
            yield FieldError(field, _NUL)
        if len(text.encode()) > MAX_STRING_BYTES:
            yield FieldError(field, f"must be at most {MAX_STRING_BYTES} bytes")
    if any(not key or "=" in key for key in env):
        yield FieldError("env", "names must not be empty or contain '='")
    if sum(len(text.encode()) for _, text in named) > MAX_ARGUMENT_BYTES:
        yield FieldError("args", f"with env must be at most {MAX_ARGUMENT_BYTES} bytes together")


def _variables(env: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    return (("env", f"{name}={value}") for name, value in env.items())


def _outputs(globs: Sequence[str]) -> Iterator[FieldError]:
    for index, glob in enumerate(globs):
        if fault := path_fault(glob):
            yield FieldError(f"outputs.{index}", fault)
