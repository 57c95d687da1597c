"""What the cases of a judge request may be. The program itself is checked as an eval's.

Linear in the request: what all cases share is looked at once.
"""

from __future__ import annotations

import math
from itertools import islice
from typing import TYPE_CHECKING

from api.checks import MAIN, MAX_ARGUMENT_BYTES, arguments, clash, file_field, path_fault, sized
from api.errors import FieldError, InvalidRequest
from api.parse import MAX_ERRORS
from jobs.model import Comparison

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from api.judge.schemas import JudgeCase, JudgeRequest
    from api.settings import ApiSettings

MAX_CASE_ID = 256
"""Characters."""


def check_cases(request: JudgeRequest, bounds: ApiSettings) -> None:
    """Raise TooLarge for the first oversized field, else InvalidRequest with the first bad ones."""
    for number, case in enumerate(request.cases):
        sized(f"cases.{number}.stdin", case.stdin, bounds.max_stdin_bytes)
        # No program may print more, so no more can be expected of it.
        sized(f"cases.{number}.expected_stdout", case.expected_stdout or "", bounds.output_bytes)
    if errors := list(islice(_faults(request, bounds), MAX_ERRORS)):
        raise InvalidRequest(errors)


def _faults(request: JudgeRequest, bounds: ApiSettings) -> Iterator[FieldError]:
    if not 1 <= len(request.cases) <= bounds.max_cases:
        yield FieldError("cases", f"must be 1 to {bounds.max_cases}")
        return
    if request.tolerance is not None and request.compare is not Comparison.FLOAT:
        yield FieldError("tolerance", f"goes with compare {Comparison.FLOAT} only")
    if isinstance(request.tolerance, float) and not 0 <= request.tolerance < math.inf:
        yield FieldError("tolerance", "must be a finite number, at least 0")
    yield from _ids(request)
    shared = _Shared(request)
    for number, case in enumerate(request.cases):
        for fault in shared.faults(case, bounds):
            yield fault._replace(field=f"cases.{number}.{fault.field}")


def _ids(request: JudgeRequest) -> Iterator[FieldError]:
    seen = set[str]()
    for number, case in enumerate(request.cases):
        name = case_id(number, case)
        if not 1 <= len(name) <= MAX_CASE_ID:
            yield FieldError(f"cases.{number}.id", f"must be 1 to {MAX_CASE_ID} characters")
        elif name in seen:
            yield FieldError(f"cases.{number}.id", "is another case's id")
        seen.add(name)


def case_id(number: int, case: JudgeCase) -> str:
    """Id of the case with this number: its own, or the number."""
    return str(number) if case.id is None else case.id


class _Shared:
    """What every case has besides its own fields, measured once."""

    def __init__(self, request: JudgeRequest) -> None:
        self._files = {*request.files, MAIN}
        self._folders = {folder for name in request.files for folder in _folders(name)}
        self._env_bytes = sum(len(f"{name}={value}".encode()) for name, value in request.env.items())

    def faults(self, case: JudgeCase, bounds: ApiSettings) -> Iterator[FieldError]:
        if case.args:
            yield from arguments(case.args, {})
            if self._env_bytes + sum(len(arg.encode()) for arg in case.args) > MAX_ARGUMENT_BYTES:
                yield FieldError("args", f"with env must be at most {MAX_ARGUMENT_BYTES} bytes together")
        if case.files:
            yield from self._file_faults(case.files, bounds)

    def _file_faults(self, files: Mapping[str, object], bounds: ApiSettings) -> Iterator[FieldError]:
        added = sum(name not in self._files for name in files)
        if len(self._files) - 1 + added > bounds.max_files:
            yield FieldError("files", f"with the request's must be at most {bounds.max_files} files")
            return
        taken = _Either(self._files, files)
        for name in files:
            fault = path_fault(name) or clash(name, taken)
            if fault is None and name in self._folders:
                fault = "is the name of a directory"
            if fault:
                yield FieldError(file_field(name), fault)


class _Either:
    """Membership in one of two containers, without a copy of either."""

    def __init__(self, one: set[str], other: Mapping[str, object]) -> None:
        self._one, self._other = one, other

    def __contains__(self, name: object) -> bool:
        return name in self._one or name in self._other


def _folders(name: str) -> Iterator[str]:
    parts = name.split("/")
    return ("/".join(parts[:depth]) for depth in range(1, len(parts)))
