"""Errors of the edge. They carry fields; `problems` chooses the words.

ApiError
+-- InvalidRequest  fields of the body that cannot be taken
+-- TooLarge        the body, or one field of it, is over its bound
+-- BodyStoodStill  nothing of the body came for too long
+-- WrongMediaType  the body is not plain application/json
+-- Unauthorized    no token, or a wrong one
+-- ForeignHost     asked under a foreign host name while no token is set
+-- UnknownEnvironment no worker serves it
+-- UnknownJob      no such job, or its result expired
+-- UnknownBatch    no such batch, or it expired
+-- NotReady        Redis or the workers are missing
+-- JobFailed       the job ended `internal`: ours, not the program's doing
+-- NoReply         the deadline passed and no result came
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobs.model import JobResult


class FieldError(NamedTuple):
    """What is wrong with one field. `message` never holds the field's value."""

    field: str
    message: str
    line: int | None = None
    """Where the field is, in JSON Lines; from 1."""


class ApiError(Exception):
    """Root of this room's errors."""


class InvalidRequest(ApiError):  # noqa: N818
    """Fields of the request that cannot be taken."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__(f"{len(errors)} invalid fields")
        self.errors = tuple(errors)


class TooLarge(ApiError):  # noqa: N818
    """The body, or one field of it, is over its bound."""

    def __init__(self, *, field: str, bound_bytes: int) -> None:
        super().__init__(f"{field} is over {bound_bytes} bytes")
        self.field, self.bound_bytes = field, bound_bytes


class BodyStoodStill(ApiError):  # noqa: N818
    """Nothing of the body came for `waited_s`."""

    def __init__(self, waited_s: float) -> None:
        super().__init__(f"nothing came for {waited_s:g} s")
        self.waited_s = waited_s


class WrongMediaType(ApiError):  # noqa: N818
    """The body is not plain application/json; `batch`: nor anything else that a batch may be."""

    def __init__(self, *, batch: bool = False) -> None:
        super().__init__("wrong media type")
        self.batch = batch


class Unauthorized(ApiError):  # noqa: N818
    """No token (`presented` False), or a wrong one."""

    def __init__(self, *, presented: bool) -> None:
        super().__init__("wrong token" if presented else "no token")
        self.presented = presented


class ForeignHost(ApiError):  # noqa: N818
    """Asked under a foreign host name while no token is set (a web page may have rebound its name to us)."""


class UnknownEnvironment(ApiError):  # noqa: N818
    """No worker serves it; `served` are those that workers do."""

    def __init__(self, name: str, served: Sequence[str]) -> None:
        super().__init__(f"no worker serves {name}")
        self.name, self.served = name, tuple(served)


class UnknownJob(ApiError):  # noqa: N818
    """No such job, or its result expired."""

    def __init__(self, job_id: str) -> None:
        super().__init__("unknown job")
        self.job_id = job_id


class UnknownBatch(ApiError):  # noqa: N818
    """No such batch, or it expired."""


class NotReady(ApiError):  # noqa: N818
    """Redis or the workers are missing; `reason` says which."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class JobFailed(ApiError):  # noqa: N818
    """The job ended `internal`: ours, not the program's doing."""

    def __init__(self, result: JobResult) -> None:
        super().__init__(f"job failed: {result.reason}")
        self.result = result


class NoReply(ApiError):  # noqa: N818
    """The deadline passed and no result came."""

    def __init__(self, job_id: str) -> None:
        super().__init__("no reply")
        self.job_id = job_id
