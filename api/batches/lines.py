"""Results of a batch as JSON Lines, a piece at a time; while the batch runs, as they come."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from api import problems, waiting
from api.convert import response_of
from api.judge.answers import judged
from jobs import wire
from jobs.batches.model import OPEN
from jobs.batches.results import Results
from jobs.errors import WireError
from jobs.model import Status

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence

    from starlette.types import Receive

    from jobs.batches.results import Completed
    from jobs.batches.store import BatchStore

LOOK_S = 0.2
"""Between two looks for new results. Asked for, not waited for: a blocked read would cost a connection per reader."""
_AT_ONCE = 32
"""Lines between two looks at who else waits."""

_encode = msgspec.json.Encoder().encode


class Follower:
    """Follows one batch for one caller, until `closing` says that this process leaves."""

    def __init__(self, store: BatchStore, batch_id: str, *, closing: Callable[[], bool]) -> None:
        self._store, self._id, self._results = store, batch_id, Results(store, batch_id)
        self._closing = closing
        self.is_through = False
        """The batch is over, and the caller has been given all of it."""

    async def pieces(self, cursor: int, *, follow: bool, receive: Receive) -> AsyncGenerator[Sequence[Completed]]:
        """What completed behind the cursor; with `follow` until the batch is over, an empty piece at each idle look.

        Ends when the caller hangs up, and of an open batch when we leave: the caller goes on behind the cursor.
        """
        gone = asyncio.ensure_future(waiting.hang_up(receive))
        try:
            while not gone.done():
                # Asked before the results: what completes between the two is not missed.
                over = not await self._is_open()
                endless = follow and not over
                while found := await self._results.after(cursor):
                    yield found
                    cursor = found[-1].cursor
                    if endless and self._closing():
                        return
                self.is_through = over
                if not endless or self._closing():
                    return
                yield []
                await asyncio.wait((gone,), timeout=LOOK_S)
        finally:
            gone.cancel()

    async def _is_open(self) -> bool:
        batch = await self._store.get(self._id)
        return batch is not None and (batch.state in OPEN)


async def as_completed(pieces: AsyncIterator[Sequence[Completed]]) -> AsyncIterator[bytes]:
    """JSON Lines in the order of completion."""
    async for piece in pieces:
        async for lines in _written(piece):
            yield lines


async def in_order(results: Results, start: int) -> AsyncIterator[bytes]:
    """JSON Lines in the order of the items, of those that have a result."""
    index = start
    while piece := await results.in_order(index):
        index += len(piece)
        async for lines in _written([one for one in piece if one is not None]):
            yield lines


async def _written(piece: Sequence[Completed]) -> AsyncIterator[bytes]:
    for start in range(0, len(piece), _AT_ONCE):
        yield b"".join(map(line_of, piece[start : start + _AT_ONCE]))
        await asyncio.sleep(0)


def line_of(one: Completed) -> bytes:
    """One line, with its end."""
    head = {"cursor": one.cursor, "index": one.line.place, "custom_id": one.line.custom_id}
    # The answer is JSON already, by its own model.
    return b'%b,"%b":%b}\n' % (_encode(head)[:-1], *_outcome(one.line.result))


def _outcome(data: bytes) -> tuple[bytes, bytes]:
    try:
        result = wire.decode_result(data)
    except WireError as error:
        return b"error", _encode(problems.document(problems.problem_of(error)))
    if result.cases:
        judge = judged(result)
        return b"judge", judge.__pydantic_serializer__.to_json(judge)
    if result.status is Status.INTERNAL:
        return b"error", _encode(problems.document(problems.failure(result)))
    answer = response_of(result)
    return b"result", answer.__pydantic_serializer__.to_json(answer)
