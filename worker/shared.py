"""What many jobs share, mostly a program: fetched once, kept while there is room, put together with each job.

Held by the worker alone. A cell gets the bytes over its own socket, as of any other job.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from jobs.errors import BrokerUnavailable
from sandbox import Bytecode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from jobs.model import Job, SharedPart

    Fetch = Callable[[str], Awaitable[SharedPart | None]]

_PAUSE_S = 0.2


@dataclass(kw_only=True)
class SharedProgram:
    """A shared part as this worker keeps it."""

    part: SharedPart
    bytecode: Bytecode | None = field(init=False)
    size_bytes: int = field(init=False)
    """With room for the bytecode."""

    def __post_init__(self) -> None:
        self.bytecode = Bytecode.worthwhile(self.part.code)
        part, bytecode_bytes = self.part, self.bytecode.bound_bytes if self.bytecode else 0
        texts = (part.code, part.stdin, *part.args, *part.outputs, *part.env, *part.env.values())
        files_bytes, text_bytes = sum(map(len, part.files.values())), sum(len(text.encode()) for text in texts)
        self.size_bytes = bytecode_bytes + files_bytes + text_bytes

    def complete(self, job: Job) -> Job:
        """The job with what it shares, the shared files under its own."""
        fields: dict[str, Any] = {name: getattr(self.part, name) for name in job.shares}
        if "files" in fields:
            fields["files"] = {**self.part.files, **job.files}
        return replace(job, **fields)


class SharedPrograms:
    """The worker's cache of shared parts: at most `bound_bytes`, the least recently used go first."""

    def __init__(self, fetch: Fetch, *, bound_bytes: int) -> None:
        self._fetch, self._bound_bytes = fetch, bound_bytes
        self._kept: OrderedDict[str, SharedProgram] = OrderedDict()
        self._fetching: dict[str, asyncio.Task[SharedProgram | None]] = {}
        self.size_bytes = 0

    async def get(self, part_id: str, *, until: float) -> SharedProgram | None:
        """Give the part; None if it has expired. While Redis is away it waits, at most `until` (Unix time).

        Raises BrokerUnavailable, WireError.
        """
        while True:
            if part_id in self._kept:
                self._kept.move_to_end(part_id)
                return self._kept[part_id]
            try:
                # Shielded: one of those who wait for it may be cancelled, the others still want it.
                return await asyncio.shield(self._fetched(part_id))
            except BrokerUnavailable:
                if time.time() + _PAUSE_S > until:
                    raise
                await asyncio.sleep(_PAUSE_S)

    def _fetched(self, part_id: str) -> asyncio.Task[SharedProgram | None]:
        task = self._fetching.get(part_id)
        if task is None:
            task = self._fetching[part_id] = asyncio.get_running_loop().create_task(self._get(part_id))
            task.add_done_callback(lambda done: self._settled(part_id, done))
        return task

    def _settled(self, part_id: str, task: asyncio.Task[SharedProgram | None]) -> None:
        del self._fetching[part_id]
        if not task.cancelled():
            task.exception()  # who waited has it; nobody may have

    async def _get(self, part_id: str) -> SharedProgram | None:
        part = await self._fetch(part_id)
        if part is None:
            return None
        program = SharedProgram(part=part)
        self._keep(part_id, program)
        return program

    def _keep(self, part_id: str, program: SharedProgram) -> None:
        self._kept[part_id] = program
        self.size_bytes += program.size_bytes
        while self.size_bytes > self._bound_bytes:
            _, oldest = self._kept.popitem(last=False)
            self.size_bytes -= oldest.size_bytes
