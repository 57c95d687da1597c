"""What goes into a sandbox run and what comes out: frozen values, units in the names, facts only.

The judgement over a `RunReport` is `sandbox.ending.ending_of`, a pure function.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.bytecode import Bytecode


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of one run."""

    wall_s: float = 10.0
    cpu_s: float | None = None
    """CPU time of any one process of the program; None: no limit but `wall_s`."""
    memory_bytes: int = 256 << 20
    output_bytes: int = 1 << 20
    """Of stdout and of stderr, each; passing it kills the program."""
    files_bytes: int = 16 << 20
    """Of all files brought back by `outputs` together."""
    files_count: int = 256
    figures_bytes: int = 8 << 20
    """Of all figures together, likewise the values of `display`."""
    figures_count: int = 16
    display_bytes: int = 4 << 20
    display_count: int = 64
    compile_s: float = 10.0
    """Wall time of the compile step, which `wall_s` does not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """One program to run, as `python3 main.py` in a fresh working directory would run it."""

    code: str
    stdin: bytes = b""
    files: Mapping[str, bytes] = field(default_factory=dict)
    executables: tuple[str, ...] = ()
    """Of these files: those that may be executed."""
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    figures: bool = False
    """Keep what the program plots with matplotlib, without its saving it."""
    interpreter_mode: bool = False
    display: bool = False
    """Keep the values that interpreter mode echoes, in every representation that they have."""
    strace: bool = False
    merge_streams: bool = False
    patient: bool = False
    """Nobody waits for it: others get warm cells first."""
    limits: Limits = field(default_factory=Limits)
    bytecode: Bytecode | None = field(default=None, compare=False, repr=False)
    """Shared by the runs of one program with the same `code`, to compile it once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a run used."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    memory_bytes: int = 0
    """Peak: of the cell's cgroup where there is one, else of its largest process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompileReport:
    """Facts about the compile step of a program."""

    exit_code: int | None
    signal: int | None
    stdout: bytes = b""
    stderr: bytes = b""
    wall_s: float = 0.0
    cached: bool = False
    """The same source was compiled before; this is what was said then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """Facts about a finished run."""

    exit_code: int | None
    signal: int | None
    """Exactly one of `exit_code` and `signal` is set."""
    timed_out: bool = False
    cpu_exceeded: bool = False
    oom_killed: bool = False
    output_exceeded: bool = False
    stdout: bytes = b""
    stderr: bytes = b""
    stdout_truncated: bool = False
    stderr_truncated: bool = False
    files: Mapping[str, bytes] = field(default_factory=dict)
    figures: tuple[bytes, ...] = ()
    """PNG images, in the order in which they were shown."""
    display: tuple[Mapping[str, str], ...] = ()
    """Of each value: MIME type -> text, or base64 of an image."""
    compile: CompileReport | None = None
    """Where there is such a step. If it failed nothing was run, and the other facts are those of the step."""
    usage: Usage = field(default_factory=Usage)
    warm: bool = False
    """A warm cell was waiting for this run."""
    tier: str = "bare"
