"""The atomic steps of the broker: one Lua file each in `scripts/`, one typed method each here.

A method returns what the script does; it holds no policy and decodes no job. Those that end or give back something, and
so make room, have the flag `allow-oom`: they run on a server that is at its `maxmemory`, too.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

from redis.exceptions import NoScriptError

from jobs import keys
from jobs.model import Lane
from jobs.portion import PORTION_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from jobs.connect import Client
    from jobs.keys import Keys

LANES = tuple(Lane)
"""In the order of their priority."""

Arg = str | bytes | int


class Stream(NamedTuple):
    """The lane of one environment."""

    lane: Lane
    environment: str


class Row(NamedTuple):
    """A leased entry as it stands in its lane, not yet decoded."""

    stream: Stream
    entry_id: str
    times: int
    """Deliveries of this entry, this one included."""
    fields: dict[bytes, bytes]


@dataclass(frozen=True, kw_only=True)
class Owned:
    """An entry and the worker that says it owns it."""

    stream: Stream
    entry_id: str
    worker: str


@dataclass(frozen=True, kw_only=True)
class Item:
    """An item of a batch that came to its end."""

    batch: str
    index: int
    custom_id: str
    job_id: str
    status: str
    result: bytes
    cut_result: bytes
    """What is recorded instead once the batch's results are over their bound."""
    may_run_again: bool
    """Nothing is recorded if it was not run again before."""


class Script:
    """One Lua file."""

    def __init__(self, name: str) -> None:
        self._text = (files("jobs") / "scripts" / f"{name}.lua").read_text()
        self._sha = hashlib.sha1(self._text.encode(), usedforsecurity=False).hexdigest()

    async def __call__(self, client: Client, names: Sequence[str], args: Iterable[Arg]) -> Any:
        """Run it by its hash; in full where the server does not know it (new, restarted, flushed)."""
        try:
            return await client.evalsha(self._sha, len(names), *names, *args)
        except NoScriptError:
            return await client.eval(self._text, len(names), *names, *args)


class Scripts:
    """Every script, bound to one client and one set of keys."""

    def __init__(self, client: Client, names: Keys) -> None:
        self._client, self._keys = client, names
        self._submit, self._watch = Script("submit"), Script("watch")
        self._lease, self._renew, self._reclaim = Script("lease"), Script("renew"), Script("reclaim")
        self._finish, self._release, self._emit = Script("finish"), Script("release"), Script("emit")
        self._ping, self._announce, self._cancel = Script("ping"), Script("announce"), Script("cancel")
        self._stats, self._sweep, self._retire = Script("stats"), Script("sweep"), Script("retire")
        self._batch_finish = Script("batch_finish")

    async def ping(self) -> None:
        """Raises RedisError unless the server answers and takes writes."""
        await self._ping(self._client, [], [])

    async def announce(self, worker: str, notice: bytes, environments: Iterable[str]) -> None:
        """Note that a worker lives, and what it serves."""
        names = [self._keys.worker(worker), self._keys.workers, self._keys.environments]
        await self._announce(
            self._client, names, [worker, notice, keys.WORKER_TTL_S, keys.WORKERS_TTL_S, *environments]
        )

    async def cancel(self, cancelled: str) -> None:
        """Tell every worker the id of a job or batch."""
        await self._cancel(self._client, [self._keys.cancels], [cancelled, keys.CANCEL_LENGTH])

    async def submit(
        self, stream: Stream, *, job_id: str, job: bytes, bound: int, record: bytes, ttl_s: int
    ) -> tuple[str, int]:
        """Word for what happened (accepted, duplicate, full), and the lane's depth before."""
        names = [self._keys.lane(*stream), self._keys.job(job_id), self._keys.environments]
        word, depth = await self._submit(self._client, names, [job, bound, record, ttl_s, stream.environment])
        return word.decode(), depth

    async def watch(self, job_id: str, *, inbox: str, ttl_s: int) -> bytes | None:
        """Bytes of the result; None after the inbox was noted for it."""
        names = [self._keys.job(job_id), self._keys.waiters(job_id)]
        found: bytes | None = await self._watch(
            self._client, names, [self._keys.inbox(inbox), ttl_s, keys.SUBMITTED, keys.QUEUED]
        )
        return found

    async def lease(self, worker: str, environments: Sequence[str], *, single: int, batch: int) -> list[Row]:
        """Rows that waited, single lanes first, at most max(single, batch), fewer if they are big.

        Environments in this order.
        """
        streams = [Stream(lane, environment) for lane in LANES for environment in environments]
        args: list[Arg] = [keys.GROUP, worker, single, batch, PORTION_BYTES]
        return _rows(streams, await self._lease(self._client, self._names(streams), args))

    async def renew(self, worker: str, stream: Stream, entry_ids: Sequence[str]) -> set[str]:
        """Entry ids that are no longer the worker's."""
        lost = await self._renew(self._client, self._names([stream]), [keys.GROUP, worker, *entry_ids])
        return {entry_id.decode() for entry_id in lost}

    async def reclaim(self, worker: str, streams: Sequence[Stream], *, lease_ms: int, limit: int) -> list[Row]:
        """Rows whose leases ran out, now the worker's."""
        args: list[Arg] = [keys.GROUP, worker, lease_ms, limit, PORTION_BYTES]
        return _rows(streams, await self._reclaim(self._client, self._names(streams), args))

    async def finish(
        self,
        owned: Owned,
        *,
        job_id: str,
        result: bytes = b"",
        reply_to: str | None = None,
        result_ttl_s: int | None = None,
        dead_reason: str = "",
    ) -> bool:
        """Whether the worker still owned the entry. No `result_ttl_s`: the result is not stored."""
        names = [
            self._keys.lane(*owned.stream),
            self._keys.job(job_id),
            self._keys.waiters(job_id),
            self._keys.dead,
        ]
        if reply_to is not None:
            names.append(self._keys.inbox(reply_to))
        ttl = "" if result_ttl_s is None else result_ttl_s
        args: list[Arg] = [keys.GROUP, owned.worker, owned.entry_id, job_id, result, ttl]
        args += [keys.INBOX_LENGTH, keys.INBOX_TTL_S, dead_reason, keys.DEAD_LENGTH, str(owned.stream.lane)]
        return bool(await self._finish(self._client, names, args))

    async def finish_item(self, owned: Owned, item: Item, *, dead_reason: str = "") -> int:
        """0: the worker no longer owned the entry; 1: recorded; 2: it has a result already; 3: it is run again."""
        names, batch = self._keys, item.batch
        parts = [names.lane(*owned.stream), names.dead, names.batch(batch), names.batch_results(batch)]
        parts += [names.batch_order(batch), names.batch_submitted(batch), names.batch_calls(batch)]
        parts += [names.batch_items(batch), names.batch_packs(batch), names.shared(batch)]
        args: list[Arg] = [keys.GROUP, owned.worker, owned.entry_id, item.job_id, item.result, item.cut_result]
        args += [item.index, item.custom_id, item.status, int(item.may_run_again)]
        args += [dead_reason, keys.DEAD_LENGTH, str(owned.stream.lane)]
        return int(await self._batch_finish(self._client, parts, args))

    async def emit(self, inbox: str, job_id: str, output: bytes) -> bool:
        """Whether the inbox had room for output."""
        args: list[Arg] = [keys.INBOX_OUTPUT_LENGTH, keys.INBOX_TTL_S, job_id, output]
        return bool(await self._emit(self._client, [self._keys.inbox(inbox)], args))

    async def release(self, owned: Owned, *, attempts: int) -> bool:
        """Whether the worker still owned the entry. `attempts`: leases that count."""
        names = self._names([owned.stream])
        return bool(await self._release(self._client, names, [keys.GROUP, owned.worker, owned.entry_id, attempts]))

    async def stats(self, streams: Sequence[Stream]) -> tuple[int, int, int]:
        """How many wait, how many run, age in milliseconds of the oldest that waits: in all of them together."""
        waiting, running, age_ms = await self._stats(self._client, self._names(streams), [keys.GROUP])
        return waiting, running, age_ms

    async def sweep(self, streams: Sequence[Stream], *, idle_ms: int) -> None:
        """Forget the workers that have been idle for so long and hold nothing."""
        await self._sweep(self._client, self._names(streams), [keys.GROUP, idle_ms])

    async def retire(self, environment: str) -> bool:
        """Whether the lanes of the environment were empty, and are gone now."""
        names = [self._keys.environments, *self._names([Stream(lane, environment) for lane in LANES])]
        return bool(await self._retire(self._client, names, [environment]))

    def _names(self, streams: Iterable[Stream]) -> list[str]:
        return [self._keys.lane(*stream) for stream in streams]


def _rows(streams: Sequence[Stream], reply: Iterable[tuple[int, bytes, int, list[bytes]]]) -> list[Row]:
    return [
        Row(streams[number - 1], entry_id.decode(), times, dict(zip(flat[::2], flat[1::2], strict=True)))
        for number, entry_id, times, flat in reply
    ]
