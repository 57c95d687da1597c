"""Every Redis key of Evalpool and how long it lives.

All keys share one hash tag, so that scripts and reads over several of them work on a Redis Cluster too.
Only the lanes, their index, the dead-letter stream and the cancel stream live for ever; they are bounded in length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

    from jobs.model import Lane

GROUP: Final = "workers"
"""The consumer group of every lane."""

SUBMITTED_TTL_S: Final = 60
"""Record of a job whose result is not kept: outlives any retry of the submit."""
INBOX_TTL_S: Final = 60
"""After the last reply; an inbox that nobody reads vanishes."""
INBOX_LENGTH: Final = 10_000
INBOX_OUTPUT_LENGTH: Final = 5_000
"""An inbox longer than this takes no more output, only replies: its process does not keep up."""
WORKER_TTL_S: Final = 5
WORKERS_TTL_S: Final = 60
"""Index of the workers' notices, after the last of them."""
CANCEL_LENGTH: Final = 10_000
CANCEL_WINDOW_S: Final = 60
"""How far back a starting worker reads the cancel stream."""
DEAD_LENGTH: Final = 10_000
UPLOAD_TTL_S: Final = 60
"""Keys of a batch that is being uploaded, once the process that takes it in keeps them no more."""
OWNER_TTL_S: Final = 7 * 24 * 3600
OWNER_BATCHES: Final = 1_000
"""Batches of one owner that are listed."""
KEEPER_TTL_MS: Final = 900
"""Less than the pause between two rounds of a keeper."""

SUBMITTED: Final = b"-"
"""Record of a job whose result is not kept."""
QUEUED: Final = b"q"
"""Record of a job whose result will be kept; no encoded result begins with this byte or the one above."""


@dataclass(frozen=True)
class Keys:
    """Names of the keys under one prefix."""

    prefix: str = "evalpool"

    def lane(self, lane: Lane, environment: str) -> str:
        """Stream of entries {job, attempt}: the job's bytes, the leases that counted before this entry."""
        return f"{{{self.prefix}}}:lane:{lane}:{environment}"

    @property
    def environments(self) -> str:
        """Set of the environments that were announced or asked for; swept of those that nobody serves or waits for."""
        return f"{{{self.prefix}}}:environments"

    def job(self, job_id: str) -> str:
        """Record of a job: SUBMITTED, QUEUED or the result's bytes. Makes a later submit a duplicate."""
        return f"{{{self.prefix}}}:job:{job_id}"

    def waiters(self, job_id: str) -> str:
        """Set of the inbox keys to tell when the job is done. Lives as long as a result would."""
        return f"{{{self.prefix}}}:waiters:{job_id}"

    def inbox(self, inbox_id: str) -> str:
        """Stream of replies {id, result} and, before a streamed job's reply, {id, output}. INBOX_TTL_S."""
        return f"{{{self.prefix}}}:inbox:{inbox_id}"

    def shared(self, part_id: str) -> str:
        """Bytes of a shared part, a batch's under its id. Lives as its submitter says, until dropped; as its batch."""
        return f"{{{self.prefix}}}:shared:{part_id}"

    def worker(self, worker_id: str) -> str:
        """Notice of a worker that lives. WORKER_TTL_S."""
        return f"{{{self.prefix}}}:worker:{worker_id}"

    @property
    def workers(self) -> str:
        """Set of the ids of workers that announced themselves. WORKERS_TTL_S after the last."""
        return f"{{{self.prefix}}}:workers"

    def batch(self, batch_id: str) -> str:
        """Hash of what is known of a batch (fields: `jobs/batches/store.py`). The batch's life, as all its keys."""
        return f"{{{self.prefix}}}:batch:{batch_id}"

    def batch_items(self, batch_id: str) -> str:
        """Stream of compressed blocks of the batch's jobs; the id is the first index + 1. Gone when all is done."""
        return f"{{{self.prefix}}}:batch:{batch_id}:items"

    def batch_submitted(self, batch_id: str) -> str:
        """Bitmap by index: the item is in its lane or has a result. Gone when all is done."""
        return f"{{{self.prefix}}}:batch:{batch_id}:submitted"

    def batch_order(self, batch_id: str) -> str:
        """4 bytes by index: as the how-manieth the item completed, big-endian; 0: not yet."""
        return f"{{{self.prefix}}}:batch:{batch_id}:order"

    def batch_results(self, batch_id: str) -> str:
        """Stream {i, c, s, r} of results (index, custom id, status, bytes); the id is the how-manieth completion."""
        return f"{{{self.prefix}}}:batch:{batch_id}:results"

    def batch_packs(self, batch_id: str) -> str:
        """Stream of compressed blocks of results that left `batch_results`; the id is the first completion."""
        return f"{{{self.prefix}}}:batch:{batch_id}:packs"

    def batch_calls(self, batch_id: str) -> str:
        """Stream that wakes the batch's coordinator for other reasons than completions."""
        return f"{{{self.prefix}}}:batch:{batch_id}:calls"

    def owner_batches(self, owner: str) -> str:
        """Sorted set of an owner's batch ids by creation. OWNER_TTL_S after the last; the newest OWNER_BATCHES."""
        return f"{{{self.prefix}}}:owner:{owner}:batches"

    def owner_open(self, owner: str) -> str:
        """Hash of an owner's open batches: id -> items that count. OWNER_TTL_S after the last."""
        return f"{{{self.prefix}}}:owner:{owner}:open"

    @property
    def batches_open(self) -> str:
        """Sorted set of all open batches by creation, for the keeper. OWNER_TTL_S after the last."""
        return f"{{{self.prefix}}}:batches:open"

    @property
    def batches_owed(self) -> str:
        """Sorted set of ended batches whose webhook is to be delivered, by when. OWNER_TTL_S after the last."""
        return f"{{{self.prefix}}}:batches:owed"

    @property
    def batches_archived(self) -> str:
        """Sorted set of batches with blocks in the archive, by when to remove these. OWNER_TTL_S after the last."""
        return f"{{{self.prefix}}}:batches:archived"

    @property
    def batches_keeper(self) -> str:
        """Lock of the process that keeps batches going. KEEPER_TTL_MS."""
        return f"{{{self.prefix}}}:batches:keeper"

    @property
    def cancels(self) -> str:
        """Capped stream {id} of cancelled jobs and batches."""
        return f"{{{self.prefix}}}:cancels"

    @property
    def dead(self) -> str:
        """Capped dead-letter stream {id, lane, reason, job, attempt}; an entry's id says when."""
        return f"{{{self.prefix}}}:dead"
