"""Batches on one Redis, as the api sees them: take items in, show, end.

Results are read in `results`; what a coordinator does is in `work`.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from jobs import keys, tail, wire
from jobs.batches import blocks
from jobs.batches.model import OPEN, Batch, BatchState, Webhook, WebhookState
from jobs.connect import redis_errors
from jobs.errors import BrokerUnavailable, UploadLost
from jobs.keys import Keys
from jobs.model import Status
from jobs.room import Room
from jobs.scripts import Script

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from jobs.batches.archive import Archive
    from jobs.batches.model import Draft
    from jobs.connect import Connections
    from jobs.model import Job, SharedPart
    from jobs.settings import BrokerSettings

_FIELDS = (
    "state",
    "owner",
    "total",
    "completed",
    "created_at",
    "started_at",
    "finished_at",
    "result_ttl_s",
    "metadata",
    "webhook",
    "webhook_state",
    "webhook_attempts",
    "webhook_message",
    "message",
    "largest",
)
_COUNTS = tuple(f"count:{status}" for status in Status)


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The keys of one batch."""

    batch: str
    items: str
    submitted: str
    order: str
    results: str
    packs: str
    calls: str
    shared: str


def names_of(names: Keys, batch_id: str) -> Names:
    """Every key of a batch."""
    return Names(
        batch=names.batch(batch_id),
        items=names.batch_items(batch_id),
        submitted=names.batch_submitted(batch_id),
        order=names.batch_order(batch_id),
        results=names.batch_results(batch_id),
        packs=names.batch_packs(batch_id),
        calls=names.batch_calls(batch_id),
        shared=names.shared(batch_id),
    )


class BatchStore:
    """What the api does with batches."""

    def __init__(self, connections: Connections, settings: BrokerSettings, archive: Archive | None = None) -> None:
        self.redis = connections.commands
        self.archive = archive
        self.room = Room(connections.commands)
        self._keys = Keys(settings.prefix)
        self._open, self._end = Script("batch_open"), Script("batch_end")

    def names(self, batch_id: str) -> Names:
        """Every key of a batch."""
        return names_of(self._keys, batch_id)

    async def get(self, batch_id: str) -> Batch | None:
        """Look a batch up; None if there is none, or it is not there in full yet."""
        names = self.names(batch_id)
        with redis_errors():
            async with self.redis.pipeline() as step:
                step.hmget(names.batch, [*_FIELDS, *_COUNTS])
                step.bitcount(names.submitted)
                found, submitted = await step.execute()
        known = dict(zip((*_FIELDS, *_COUNTS), found, strict=True))
        if known["state"] in (None, b"uploading"):
            return None
        return _batch(batch_id, known, submitted)

    async def state(self, batch_id: str) -> BatchState | None:
        """State of a batch, also of one that is being uploaded."""
        with redis_errors():
            found: Any = await self.redis.hget(self._keys.batch(batch_id), "state")
        return None if found is None else BatchState(found.decode())

    async def take_in(self, draft: Draft) -> Intake | BatchState:
        """Begin an upload; or tell the state of the batch that has this id already. Raises BrokerFull."""
        await self.room.require()
        token, names = secrets.token_hex(8), self.names(draft.id)
        fields = {
            "upload": token,
            "owner": draft.owner,
            "created_at": draft.created_at,
            "result_ttl_s": draft.result_ttl_s,
            "result_bytes": draft.result_bytes,
        }
        args = [keys.UPLOAD_TTL_S, *_flat(fields)]
        with redis_errors():
            word = await self._open(self.redis, [names.batch, names.items], args)
        state = BatchState(word.decode())
        return Intake(self, draft, token) if state is BatchState.UPLOADING else state

    async def end(self, batch_id: str, state: BatchState, message: str = "", *, fence: str = "") -> BatchState | None:
        """End an open batch: what runs of it is killed. Gives the state before; None if there is no batch."""
        names = self.names(batch_id)
        parts = [names.batch, names.results, names.order, names.packs, names.calls, self._keys.cancels]
        parts += [names.items, names.submitted, names.shared]
        args: list[str | bytes | int] = [state, message, batch_id, keys.CANCEL_LENGTH, fence, f"{time.time():.6f}"]
        args.append(keys.CANCEL_WINDOW_S)
        with redis_errors():
            word = (await self._end(self.redis, parts, args)).decode()
        return None if word in ("missing", "uploading") else BatchState(word)

    async def note_webhook(self, batch_id: str, webhook: Webhook) -> None:
        """Record how the delivery stands, if the batch is still known."""
        key = self._keys.batch(batch_id)
        fields = {
            "webhook_state": webhook.state.value,
            "webhook_attempts": webhook.attempts,
            "webhook_message": webhook.message,
        }
        with redis_errors():
            if await self.redis.exists(key):
                await self.redis.hset(key, mapping=fields)  # type: ignore[arg-type]


class Intake:
    """The upload of one batch: items in, block by block; visible only at the end."""

    def __init__(self, store: BatchStore, draft: Draft, token: str) -> None:
        self._store, self._draft, self._token = store, draft, token
        self._names = store.names(draft.id)
        self._put, self._commit = Script("batch_put"), Script("batch_commit")
        self._keep = Script("batch_keep")
        self._filling = blocks.Filling(0)
        self._environments: set[str] = set()
        self._is_lost = False

    @property
    def count(self) -> int:
        """Items so far."""
        return self._filling.first + len(self._filling.values)

    async def add(self, job: Job) -> None:
        """Take one more item. Raises UploadLost, BrokerUnavailable, ArchiveError."""
        if self._is_lost:
            raise UploadLost
        self._environments.add(job.environment)
        if self._filling.add(wire.encode(job)):
            await self._flush()

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Keep what is there of the upload while it goes on, however slowly; otherwise only blocks that come do."""
        keeping = asyncio.create_task(self._keep_on(), name="upload")
        try:
            yield
        finally:
            await tail.stop(keeping)

    async def keep(self) -> None:
        """Keep it a while longer, if it is still this upload's. Raises BrokerUnavailable."""
        args: list[str | bytes | int] = [self._token, keys.UPLOAD_TTL_S]
        with redis_errors():
            kept = await self._keep(self._store.redis, [self._names.batch, self._names.items], args)
        self._is_lost = not kept

    async def _keep_on(self) -> None:
        while not self._is_lost:
            await asyncio.sleep(keys.UPLOAD_TTL_S / 4)
            with suppress(BrokerUnavailable):
                await self.keep()

    async def commit(self, *, metadata: Mapping[str, str], webhook: str | None, part: SharedPart | None = None) -> None:
        """Show the batch, queued; `part` is what its items share. Raises as `add` does."""
        if self._filling.values:
            await self._flush()
        names, draft = self._names, self._draft
        environments = sorted(self._environments)
        fields = {"metadata": msgspec.json.encode(metadata), "environments": msgspec.json.encode(environments)}
        if webhook is not None:
            fields |= {"webhook": webhook.encode(), "webhook_state": WebhookState.PENDING.encode()}
        ttl_s = int(draft.timeout_s) + draft.result_ttl_s
        shared = b"" if part is None else wire.encode(part)
        args = [self._token, self.count, ttl_s, shared, *_flat(fields)]
        parts = [names.batch, names.items, names.submitted, names.order, names.shared]
        with redis_errors():
            done = await self._commit(self._store.redis, parts, args)
        if not done:
            raise UploadLost

    async def give_up(self) -> None:
        """Leave nothing."""
        with redis_errors():
            if await self._store.redis.hget(self._names.batch, "upload") != self._token.encode():
                return  # complete, or somebody else's by now
            await self._store.redis.unlink(self._names.batch, self._names.items)
        if self._store.archive is not None:
            await self._store.archive.remove(self._draft.id)

    async def _flush(self) -> None:
        await self._store.room.require()
        full, self._filling = self._filling, blocks.Filling(self.count)
        field, value = await blocks.write(full.values, self._store.archive, f"{self._draft.id}/items-{full.first}")
        args: list[str | bytes | int] = [self._token, full.first + 1, field, value, keys.UPLOAD_TTL_S]
        with redis_errors():
            if not await self._put(self._store.redis, [self._names.batch, self._names.items], args):
                raise UploadLost


def _flat(fields: Mapping[str, Any]) -> list[Any]:
    return [part for pair in fields.items() for part in pair]


def _batch(batch_id: str, known: Mapping[str, bytes | None], submitted: int) -> Batch:
    def text(field: str) -> str:
        return (known[field] or b"").decode()

    def number(field: str) -> float | None:
        return float(known[field] or 0) if known[field] is not None else None

    state, finished_at = BatchState(text("state")), number("finished_at")
    ends = finished_at is not None and state not in OPEN
    webhook = None
    if known["webhook"]:
        webhook = Webhook(
            url=text("webhook"),
            state=WebhookState(text("webhook_state")),
            attempts=int(text("webhook_attempts") or 0),
            message=text("webhook_message"),
        )
    completed = int(text("completed") or 0)
    return Batch(
        id=batch_id,
        owner=text("owner"),
        state=state,
        total=int(text("total")),
        completed=completed,
        submitted=max(0, submitted - completed),
        counts={status: int(known[f"count:{status}"] or 0) for status in Status if known[f"count:{status}"]},
        created_at=number("created_at") or 0.0,
        started_at=number("started_at"),
        finished_at=finished_at,
        expires_at=(finished_at or 0) + int(text("result_ttl_s")) if ends else None,
        metadata=msgspec.json.decode(known["metadata"] or b"{}", type=dict[str, str]),
        webhook=webhook,
        message=text("message"),
        largest_bytes=int(text("largest") or 0),
    )
