"""What a program prints, on its way to who waits while it still runs. For show: the result has all of it anyway.

Pieces of one moment go together, so that a program that prints a million lines costs fifty emits a second.
"""

from __future__ import annotations

import asyncio
import logging
from codecs import getincrementaldecoder
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Self

from jobs.errors import BrokerUnavailable
from jobs.model import Chunk, Output, OutputStream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

log = logging.getLogger(__name__)
_MOMENT_S = 0.02


class Live:
    """The output of one run of a program. Left in peace it sends the last of it; left by an error, nothing more.

    What Redis is too slow for is held here: the sandbox's bound on output bounds that as well.
    """

    def __init__(self, emit: Callable[[Output], Awaitable[None]], *, attempt: int, run: int) -> None:
        self._emit, self._attempt, self._run = emit, attempt, run
        self._decoders = {stream: getincrementaldecoder("utf-8")("replace") for stream in OutputStream}
        self._offsets = dict.fromkeys(OutputStream, 0)
        self._heard: list[tuple[OutputStream, str]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._sending: asyncio.Task[None] | None = None
        self._over = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                await self._finish()
        finally:
            # A send on its way is not cancelled: that would cost Redis a connection.
            self._over = True
            self._disarm()

    def hear(self, stream: str, chunk: bytes) -> None:
        """Take what was read: the sandbox's `on_output`."""
        known = OutputStream(stream)
        self._keep(known, self._decoders[known].decode(chunk))
        self._arm()

    async def _finish(self) -> None:
        if self._sending is not None:
            await asyncio.wait({self._sending})
        self._disarm()
        for stream, decoder in self._decoders.items():
            self._keep(stream, decoder.decode(b"", final=True))
        await self._send()

    def _keep(self, stream: OutputStream, text: str) -> None:
        if text and not self._over:
            self._heard.append((stream, text))

    def _arm(self) -> None:
        if self._heard and self._timer is None and self._sending is None:
            self._timer = asyncio.get_running_loop().call_later(_MOMENT_S, self._start)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start(self) -> None:
        self._timer = None
        self._sending = asyncio.get_running_loop().create_task(self._send_moment())

    async def _send_moment(self) -> None:
        await self._send()
        self._sending = None
        self._arm()

    async def _send(self) -> None:
        if not self._heard:
            return
        output = Output(attempt=self._attempt, run=self._run, chunks=tuple(self._taken()))
        try:
            await self._emit(output)
        except BrokerUnavailable as error:
            # Behind a gap nothing can be shown: the rest comes with the result.
            self._over = True
            self._heard.clear()
            log.warning("output not sent", extra={"event": "output_not_sent", "why": str(error)})

    def _taken(self) -> Iterator[Chunk]:
        heard, self._heard = self._heard, []
        for stream, pieces in groupby(heard, key=itemgetter(0)):
            text = "".join(piece for _, piece in pieces)
            yield Chunk(stream=stream, offset=self._offsets[stream], text=text)
            self._offsets[stream] += len(text)
