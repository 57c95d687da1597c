"""Jobs and results as frozen values. No I/O here; the wire format is in `wire`, the keys in `keys`."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 (the codec reads the annotations when it runs)
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

DEFAULT = "default"
"""The environment of a job whose caller names none."""


class Lane(StrEnum):
    """A fairness class of jobs; each environment has a stream of each."""

    SINGLE = "single"
    """Somebody waits for the answer."""
    BATCH = "batch"
    """Nobody waits; gives way to `SINGLE`."""


class Status(StrEnum):
    """The verdict a caller sees. Everything but `INTERNAL` and `CANCELLED` is the program's own doing."""

    OK = "ok"
    ERROR = "error"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    OUTPUT = "output"
    KILLED = "killed"
    CANCELLED = "cancelled"
    INTERNAL = "internal"


class Reason(StrEnum):
    """Why a result is `INTERNAL` or `CANCELLED`: a closed set, for machines."""

    EXPIRED = "expired"
    """The deadline passed before the job could run (or be run again). Safe to send again."""
    ATTEMPTS = "attempts"
    """Workers died under it too often; it is in the dead-letter stream."""
    SANDBOX = "sandbox"
    """The sandbox failed, not the program. Safe to send again."""
    CALLER = "caller"
    """The caller cancelled or hung up."""
    ENVIRONMENT = "environment"
    """The environment cannot do what the job asks for (for example no strace there)."""
    SHARED = "shared"
    """The stored program that the job refers to has expired. Safe to send again."""


class Comparison(StrEnum):
    """How two outputs are held against each other."""

    EXACT = "exact"
    """Every character."""
    TRIMMED = "trimmed"
    """Without white space at the ends of lines and at the end of the text."""
    TOKENS = "tokens"
    """The words between white space."""
    FLOAT = "float"
    """As `TOKENS`, but two numbers may differ by the tolerance."""


class Verdict(StrEnum):
    """What a case came to. A case that came to none (`internal`, `cancelled`, not run) has no verdict."""

    PASSED = "passed"
    FAILED = "failed"


class OutputStream(StrEnum):
    """Where a program writes."""

    STDOUT = "stdout"
    STDERR = "stderr"


class JobState(StrEnum):
    """Where an asynchronous job is in its life."""

    QUEUED = "queued"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One eval as queued. Limits are already clamped by whoever submits it."""

    id: str
    code: str
    stdin: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Relative path -> content; the paths are validated."""
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    environment: str = DEFAULT
    timeout_s: float = 10.0
    memory_bytes: int = 256 << 20
    output_bytes: int = 1 << 20
    """Bound of stdout and of stderr, each. Passing it kills the program with status `output`."""
    outputs: tuple[str, ...] = ()
    """Globs of files to bring back from the working directory."""
    interpreter_mode: bool = False
    strace: bool = False
    merge_streams: bool = False
    """Put stderr into stdout, in the order in which the program wrote (`POST /`)."""
    lane: Lane = Lane.SINGLE
    submitted_at: float
    """Unix time, seconds."""
    deadline_at: float
    """Unix time, seconds: not started after it, and killed if running at it."""
    reply_to: str | None = None
    """Inbox id of the api process that waits, if one does."""
    keep_result: bool = False
    """Store the result under the job's id (asynchronous jobs)."""
    stream: bool = False
    """Send `Output` to the inbox while the program runs."""
    figures: bool = False
    """Bring back what the program plots with matplotlib."""
    display: bool = False
    """Bring back the values that interpreter mode echoes."""
    batch: str | None = None
    """Id of the batch whose item this is: its result is recorded there."""
    index: int = 0
    """Place of the item in its batch, from 0."""
    custom_id: str = ""
    """What the caller of a batch calls the item."""
    shared: str | None = None
    """Id of a stored `SharedPart` that the job is completed with."""
    judge: JudgeOrder | None = None
    """Run the program once for each of these cases (an item of a batch; `/v1/judge` makes a job of each case)."""
    shares: tuple[str, ...] = ("code", "files")
    """Which fields the shared part has for it. Its own are empty, but for `files`, which come on top of the part's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeCase:
    """One input of a program, and what is expected of it."""

    id: str
    stdin: str = ""
    args: tuple[str, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
    """On top of the job's."""
    expected: str | None = None
    """Never given to a sandbox; None: a program that ends with `ok` passes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeOrder:
    """Cases, and how they are judged."""

    cases: tuple[JudgeCase, ...]
    comparison: Comparison = Comparison.TRIMMED
    absolute: float = 0.0
    relative: float = 0.0
    stops: bool = False
    """On the first failure."""
    shown_bytes: int = 16 << 10
    """Of a case's stdout and of its stderr, how much the result keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedPart:
    """What many jobs have in common, stored once: a program that is run on many inputs, the defaults of a batch."""

    code: str
    files: Mapping[str, bytes] = field(default_factory=dict)
    stdin: str = ""
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CompileResult:
    """What became of the compile step of a program."""

    exit_code: int | None = None
    signal: int | None = None
    stdout: str = ""
    stderr: str = ""
    wall_ms: float = 0.0
    cached: bool = False
    """It was compiled before, and is not again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResult:
    """What became of a job. Written once."""

    job_id: str
    status: Status
    reason: Reason | None = None
    message: str = ""
    """For people; never holds the program's text."""
    stdout: str = ""
    stderr: str = ""
    """Invalid UTF-8 is replaced by U+FFFD."""
    exit_code: int | None = None
    signal: int | None = None
    stdout_truncated: bool = False
    stderr_truncated: bool = False
    files: Mapping[str, bytes] = field(default_factory=dict)
    wall_ms: float = 0.0
    cpu_ms: float = 0.0
    memory_bytes: int = 0
    queue_ms: float = 0.0
    """Submit to lease, by the workers' clock against the submitter's."""
    run_ms: float = 0.0
    """Lease to result, in the worker."""
    attempt: int = 1
    warm: bool = False
    figures: tuple[bytes, ...] = ()
    """PNG images."""
    display: tuple[Mapping[str, str], ...] = ()
    """Of each value: MIME type -> text, or base64 of an image."""
    compile: CompileResult | None = None
    """Where the environment has such a step. If it failed nothing was run."""
    cases: tuple[CaseResult, ...] = ()
    """Of a job with a `JudgeOrder`, in its order. The status is `OK` if all passed, `ERROR` if one failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """What a case came to; a case without `result` was not run, one with and without `verdict` was failed by us."""

    id: str
    verdict: Verdict | None = None
    result: JobResult | None = None


KEPT_CHARACTERS: Final = 500


def cut(result: JobResult) -> JobResult:
    """The result with little of its output and nothing that came back beside it; itself if it has no more."""
    extras = result.files or result.figures or result.display or result.cases
    if max(len(result.stdout), len(result.stderr)) <= KEPT_CHARACTERS and not extras:
        return result
    return replace(
        result,
        stdout=result.stdout[:KEPT_CHARACTERS],
        stderr=result.stderr[:KEPT_CHARACTERS],
        stdout_truncated=result.stdout_truncated or len(result.stdout) > KEPT_CHARACTERS,
        stderr_truncated=result.stderr_truncated or len(result.stderr) > KEPT_CHARACTERS,
        files={},
        figures=(),
        display=(),
        cases=tuple(replace(case, result=case.result and cut(case.result)) for case in result.cases),
    )


def shortened(result: JobResult, bound_bytes: int) -> JobResult:
    """The result with at most so much of stdout and of stderr, each."""
    stdout, stderr = _start(result.stdout, bound_bytes), _start(result.stderr, bound_bytes)
    return replace(
        result,
        stdout=stdout,
        stderr=stderr,
        stdout_truncated=result.stdout_truncated or len(stdout) < len(result.stdout),
        stderr_truncated=result.stderr_truncated or len(stderr) < len(result.stderr),
    )


def _start(text: str, bound_bytes: int) -> str:
    if len(text) * 4 <= bound_bytes:
        return text
    data = text.encode()
    return text if len(data) <= bound_bytes else data[:bound_bytes].decode(errors="ignore")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A piece of what a program wrote to one of its streams."""

    stream: OutputStream
    offset: int
    """Characters of the stream before it, in this run of the program."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What a program wrote within a moment, in the order in which it was read.

    For show only: some of it may be lost on the way or come twice (the offsets tell), the result has all of it.
    """

    attempt: int
    run: int
    """1 for the first start of the program in this attempt; a later start voids what came before."""
    chunks: tuple[Chunk, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A leased job: the right to work on it until the lease runs out."""

    job: Job
    lane: Lane
    entry_id: str
    """Id of the stream entry, unique in its lane."""
    attempt: int
    """1 for the first lease, +1 for each redelivery."""
    shard: int = 0
    """Which of several Redis it is from (`shards`)."""

    @property
    def key(self) -> tuple[int, str, Lane, str]:
        """Tells it from everything else that a worker may hold: entry ids are times, and lanes share them."""
        return (self.shard, self.job.environment, self.lane, self.entry_id)


class Submission(StrEnum):
    """What a submit did."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    """A job with this id was submitted before (a retry of ours); nothing was added."""


class Finish(StrEnum):
    """What a finish did."""

    RECORDED = "recorded"
    STALE = "stale"
    """Somebody else owns the job by now; this result was dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentInfo:
    """What a worker says of an environment that it serves."""

    kind: str = "python"
    filename: str = "main.py"
    command: tuple[str, ...] = ()
    digest: str | None = None
    """Of its image, if it has one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerInfo:
    """What a worker says of itself every second or two; gone 5 s after the last word."""

    id: str
    slots: int
    environments: tuple[str, ...]
    started_at: float
    """Unix time, seconds."""
    about: Mapping[str, EnvironmentInfo] = field(default_factory=dict)
    """Environments by name, where there is something to say of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneStats:
    """A lane at one moment, over all environments."""

    waiting: int
    running: int
    """Leased, also by workers that died since."""
    oldest_s: float
    """Age of the oldest job that waits; 0 if none does."""
