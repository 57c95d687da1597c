"""Errors of the sandbox: ours only. What a program does is a `RunReport`, never an exception.

SandboxError
+-- SandboxUnavailable  this machine or environment cannot jail; says why
+-- JailFailed          a jail or cell broke under a run; the run may be tried again
+-- NotSupported        the environment cannot do what the spec asks for
"""

from __future__ import annotations


class SandboxError(Exception):
    """Root of this room's errors."""


class SandboxUnavailable(SandboxError):  # noqa: N818
    """The machine or environment cannot jail; the message says why."""


class JailFailed(SandboxError):  # noqa: N818
    """A jail or cell broke under a run; the program is not to blame and the run may be tried again."""


class NotSupported(SandboxError):  # noqa: N818
    """The environment cannot do what the spec asks for."""
