"""A streamed eval as server-sent events: what the program prints, as it prints, then the result.

`stdout`, `stderr` (JSON string)   a piece of output
`restart` ({"attempt": n})         forget the output so far: the program was started again
`result` / `error`                 the JSON of `/v1/eval`, or a problem document; the last event

Invariant: the pieces since the last `restart` are a prefix of the result's output, and before `result` all of it,
whatever got lost or came twice on the way. A caller who reads slowly makes us hold at most what the program may
print (`output_bytes` of stdout and of stderr).
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from hashlib import blake2b
from typing import TYPE_CHECKING

import msgspec
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse

from api import waiting
from jobs.model import OutputStream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Iterator

    from starlette.types import Receive, Scope, Send

    from jobs.model import JobResult, Output

MEDIA_TYPE = "text/event-stream"
KEEP_ALIVE_S = 15.0
"""Proxies cut connections that say nothing for a minute or less."""
KEEP_ALIVE = b": keep-alive\n\n"
# JSON leaves these as they are, and clients that split lines as `str.splitlines` does would cut there.
_LINE_ENDS = ((b"\xc2\x85", rb"\u0085"), (b"\xe2\x80\xa8", rb"\u2028"), (b"\xe2\x80\xa9", rb"\u2029"))


def wanted(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether the caller accepts events, and likes them better than JSON."""
    accept = b",".join(value for name, value in headers if name == b"accept").decode("latin-1").lower()
    if MEDIA_TYPE not in accept:
        return False
    likes = dict(map(_liking, accept.split(",")))
    return likes.get(MEDIA_TYPE, 0.0) > likes.get("application/json", 0.0)


def _liking(media_range: str) -> tuple[str, float]:
    media_type, *parameters = (part.strip() for part in media_range.split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return media_type, float(parameter[2:])
            except ValueError:
                return media_type, 0.0
    return media_type, 1.0


def event(name: str, data: bytes) -> bytes:
    """One event; `data` is a JSON document."""
    for raw, escaped in _LINE_ENDS:
        data = data.replace(raw, escaped)
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data)


class EventStream(StreamingResponse):
    """Sends events as they come. They themselves notice the caller who hangs up."""

    media_type = MEDIA_TYPE

    def __init__(self, events: AsyncGenerator[bytes]) -> None:
        # nginx holds an answer back until its buffer is full, unless told not to.
        headers = {"content-type": MEDIA_TYPE, "cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(events, headers=headers)
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Send all of them."""
        async with aclosing(self._events):
            await self.stream_response(send)


class _Shown:
    """What the caller has of one stream: how much, and a digest of it."""

    def __init__(self) -> None:
        self.length = 0
        self._digest = blake2b()

    def add(self, text: str) -> None:
        self.length += len(text)
        self._digest.update(text.encode())

    def begins(self, whole: str) -> bool:
        return blake2b(whole[: self.length].encode()).digest() == self._digest.digest()


class Feed:
    """From an inbox to one caller."""

    def __init__(self) -> None:
        self._arrived: list[Output] = []
        self._news = asyncio.Event()
        self._run = (0, 0)
        self._forget()

    def put(self, output: Output) -> None:
        """Take what an inbox hears."""
        self._arrived.append(output)
        self._news.set()

    async def events(
        self, future: asyncio.Future[JobResult], receive: Receive, *, timeout_s: float
    ) -> AsyncGenerator[bytes]:
        """Give events until the future is done, or for `timeout_s`. Raises ClientDisconnect."""
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + timeout_s
        hang_up = asyncio.ensure_future(waiting.hang_up(receive))
        for end in (future, hang_up):
            end.add_done_callback(lambda _: self._news.set())
        try:
            while not future.done() and (left_s := give_up_at - loop.time()) > 0:
                heard = await self._wait(min(left_s, KEEP_ALIVE_S))
                if hang_up.done() and not future.done():
                    raise ClientDisconnect
                if events := b"".join(self._taken()) if heard else KEEP_ALIVE:
                    yield events
        finally:
            hang_up.cancel()

    def rest(self, result: JobResult) -> bytes:
        """Events that complete what the caller has to the result's output."""
        whole = {OutputStream.STDOUT: result.stdout, OutputStream.STDERR: result.stderr}
        events = list(self._taken())
        if not all(self._shown[stream].begins(text) for stream, text in whole.items()):
            events.append(self._restart(result.attempt))
        for stream, text in whole.items():
            if missing := text[self._shown[stream].length :]:
                events.append(_piece(stream, missing))
        return b"".join(events)

    async def _wait(self, timeout_s: float) -> bool:
        try:
            async with asyncio.timeout(timeout_s):
                await self._news.wait()
        except TimeoutError:
            return False
        self._news.clear()
        return True

    def _taken(self) -> Iterator[bytes]:
        arrived, self._arrived = self._arrived, []
        for output in arrived:
            run = (output.attempt, output.run)
            if run > self._run:
                if any(shown.length for shown in self._shown.values()):
                    yield self._restart(output.attempt)
                self._run = run
            if run == self._run:  # and not of a worker that lost the job
                yield from self._pieces(output)

    def _pieces(self, output: Output) -> Iterator[bytes]:
        for chunk in output.chunks:
            shown = self._shown[chunk.stream]
            # Less: it came twice. More: something before it was lost, and comes with the result.
            if chunk.offset == shown.length:
                shown.add(chunk.text)
                yield _piece(chunk.stream, chunk.text)

    def _restart(self, attempt: int) -> bytes:
        self._forget()
        return event("restart", msgspec.json.encode({"attempt": attempt}))

    def _forget(self) -> None:
        self._shown = {stream: _Shown() for stream in OutputStream}


def _piece(stream: OutputStream, text: str) -> bytes:
    return event(stream, msgspec.json.encode(text))
