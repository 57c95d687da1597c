"""The compile step of an environment: in a cell of its own, before the cell that runs what came of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from sandbox.ending import Ending, ending_of
from sandbox.errors import NotSupported
from sandbox.host.compiled import Built, key_of
from sandbox.spec import CompileReport, Limits, RunReport, RunSpec

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sandbox.environment import Environment
    from sandbox.host.compiled import Compiled

    RunStep = Callable[[RunSpec], Awaitable[tuple[RunReport, bool]]]

_MEMORY_BYTES = 512 << 20
_OUTPUT_BYTES = 256 << 10
_BINARY_BYTES = 16 << 20


class Compiler:
    """Compiles for one environment; the same source once, however many ask at the same time."""

    def __init__(self, environment: Environment, compiled: Compiled) -> None:
        self._environment, self._compiled = environment, compiled
        self._at_work: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()

    async def build(self, spec: RunSpec, run: RunStep) -> Built | RunReport:
        """What `spec` is compiled to, or the report of a step that failed. `run` runs the step in a cell.

        Raises JailFailed (try again), NotSupported (the command leaves no program).
        """
        key = self._key(spec)
        lock = self._at_work.setdefault(key, asyncio.Lock())
        async with lock:
            built: Built | RunReport | None = self._compiled.get(key)
            if built is None:
                report, _ = await run(_step_of(spec, self._environment.binary))
                built = self._judge(report)
                if isinstance(built, Built):
                    self._compiled.keep(key, built)
        return built

    def _judge(self, report: RunReport) -> Built | RunReport:
        said = CompileReport(
            exit_code=report.exit_code,
            signal=report.signal,
            stdout=report.stdout,
            stderr=report.stderr,
            wall_s=report.usage.wall_s,
        )
        if ending_of(report) is not Ending.OK:
            # Its output is the step's, and none of the program's.
            return replace(
                report,
                stdout=b"",
                stderr=b"",
                stdout_truncated=False,
                stderr_truncated=False,
                files={},
                compile=said,
            )
        binary = report.files.get(self._environment.binary)
        if binary is None:
            command = " ".join(self._environment.compile)
            raise NotSupported(f"`{command}` left no file {self._environment.binary} of at most 16 MiB")
        return Built(binary=binary, report=said)

    def _key(self, spec: RunSpec) -> bytes:
        """Of all that the step sees: nothing else may change what comes of it."""
        environment = self._environment
        about = [str(environment.image), environment.digest, str(environment.packages), environment.workdir]
        step = [environment.filename, environment.binary, str(len(environment.compile)), *environment.compile]
        variables = [f"{name}={value}" for name, value in sorted(environment.variables.items())]
        texts = [*about, *step, *variables, "", spec.code]
        files = [part for name, data in sorted(spec.files.items()) for part in (name.encode(), data)]
        return key_of([*(text.encode() for text in texts), *files])


def _step_of(spec: RunSpec, binary: str) -> RunSpec:
    """The program and its files; no argument, variable or input of the caller's."""
    limits = Limits(
        wall_s=spec.limits.compile_s,
        memory_bytes=_MEMORY_BYTES,
        output_bytes=_OUTPUT_BYTES,
        files_bytes=_BINARY_BYTES,
        files_count=1,
    )
    return RunSpec(code=spec.code, files=spec.files, outputs=(binary,), patient=spec.patient, limits=limits)
