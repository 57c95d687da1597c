"""What became of every job, by the server's own journal: its append-only file, every change in order.

Clients see one side of an accident only. The journal tells of each job that was queued what results were recorded of
it: one, or it was lost or done twice. That it was given up is a result too.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from jobs import wire
from jobs.keys import QUEUED, SUBMITTED, Keys

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from redis import Redis

    from jobs.model import Job, JobResult, Reason

_ROOT = Keys().job("").removesuffix("job:")
_LANE, _JOB, _INBOX = (f"{_ROOT}{kind}:".encode() for kind in ("lane", "job", "inbox"))


def keep_whole(redis: Redis) -> None:
    """Have the server keep every change, on disk before it answers. To be said again after each start."""
    redis.config_set("auto-aof-rewrite-percentage", 0)
    redis.config_set("appendfsync", "always")


@dataclass
class Audit:
    """The journal, summed up by job id."""

    jobs: dict[str, Job] = field(default_factory=dict)
    """Every job that was ever queued."""
    results: dict[str, list[JobResult]] = field(default_factory=lambda: defaultdict(list))
    """Replies to who waits, for asynchronous jobs stored results."""
    dead: set[str] = field(default_factory=set)
    """Dead-lettered."""

    @property
    def lost(self) -> list[str]:
        return [job_id for job_id in self.jobs if not self.results[job_id]]

    @property
    def twice(self) -> list[str]:
        return [job_id for job_id in self.jobs if len(self.results[job_id]) > 1]

    @property
    def given_up(self) -> dict[str, Reason]:
        """Why of each job that ended without a verdict."""
        ends = ((job_id, result.reason) for job_id, results in self.results.items() for result in results)
        return {job_id: reason for job_id, reason in ends if reason is not None}


class _Added(NamedTuple):
    stream: bytes
    fields: dict[bytes, bytes]


def audit(data_dir: Path) -> Audit:
    """Read the journal of a server that `keep_whole` was said to."""
    found = Audit()
    for command in _commands(data_dir):
        name = command[0].upper()
        if name == b"XADD":
            _note_added(found, _added(command))
        elif name == b"SET" and command[1].startswith(_JOB) and command[2] not in (SUBMITTED, QUEUED):
            found.results[command[1].removeprefix(_JOB).decode()].append(wire.decode_result(command[2]))
    return found


def _note_added(found: Audit, added: _Added) -> None:
    if added.stream.startswith(_LANE):
        job = wire.decode_job(added.fields[b"job"])
        found.jobs[job.id] = job
    elif added.stream == Keys().dead.encode():
        found.dead.add(added.fields[b"id"].decode())
    elif added.stream.startswith(_INBOX) and b"result" in added.fields:
        result = wire.decode_result(added.fields[b"result"])
        if not found.jobs[result.job_id].keep_result:  # of the others it only repeats what is stored
            found.results[result.job_id].append(result)


def _added(command: list[bytes]) -> _Added:
    stream, rest = command[1], command[2:]
    if rest[0].upper() == b"MAXLEN":
        rest = rest[3:]
    fields = rest[1:]
    return _Added(stream, dict(zip(fields[::2], fields[1::2], strict=True)))


def _commands(data_dir: Path) -> Iterator[list[bytes]]:
    for path in sorted(data_dir.glob("appendonlydir/*.incr.aof")):
        with path.open("rb") as journal:
            while line := journal.readline():
                if not line.startswith(b"*"):
                    continue  # a time stamp
                command = []
                for _ in range(int(line[1:])):
                    size = int(journal.readline()[1:])
                    command.append(journal.read(size + 2)[:-2])
                yield command
