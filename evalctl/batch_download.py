"""Results of a batch into a file, through breaks: of the connection, of the server, of ourselves.

The file grows under a name that has the batch's id in it, and gets its own name when it is whole. So a second download
of the same batch goes on behind the last line that arrived, and of another batch begins anew.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from evalctl.batch_client import BatchError, Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from evalctl.batch_client import BatchServer

_PATIENCE_S = 60.0
"""How long a server may be away at a time."""
_PAUSE_S = 0.5
OPEN = frozenset({"queued", "running"})


class Line(NamedTuple):
    """One result as it came, and what is needed of it."""

    cursor: int
    word: str
    """Its verdict: `passed` or `failed` of an item with cases, else the status; `internal` if we failed the item."""
    raw: bytes


def follow(server: BatchServer, batch_id: str, *, after: int) -> Iterator[Line]:
    """Results behind a cursor, in the order of completion, until the batch is over. Raises BatchError."""
    reached_at = time.monotonic()
    while True:
        with suppress(Unreachable):  # or silent for a minute: its view tells which
            for raw in server.results(batch_id, after=after, order="completion", follow=True):
                line = parsed(raw)
                after = line.cursor
                yield line
        try:
            view = server.view(batch_id)
            reached_at = time.monotonic()
            if view["state"] not in OPEN and view["completed"] <= after:
                return
        except Unreachable:
            if time.monotonic() - reached_at > _PATIENCE_S:
                raise
        time.sleep(_PAUSE_S)


def parsed(raw: bytes) -> Line:
    """A line of results. Raises BatchError."""
    try:
        body: Mapping[str, Any] = json.loads(raw)
        return Line(body["cursor"], _word(body), raw)
    except (ValueError, KeyError, TypeError) as error:
        raise BatchError(f"a line of the results is not one of ours ({error!r})") from None


def _word(body: Mapping[str, Any]) -> str:
    if "judge" in body:
        return body["judge"]["verdict"] or "internal"
    return "internal" if body.get("error") else body["result"]["status"]


class Part:
    """The growing file."""

    def __init__(self, target: Path, batch_id: str) -> None:
        self._target = target
        self._path = target.with_name(f"{target.name}.{batch_id}.part")

    def lines(self) -> Iterator[Line]:
        """What an earlier download left; a last line that is not whole is cut off."""
        if not self._path.exists():
            return
        with self._path.open("rb+") as file:
            whole_bytes = 0
            for raw in file:
                if not raw.endswith(b"\n"):
                    file.truncate(whole_bytes)
                    return
                whole_bytes += len(raw)
                yield parsed(raw)

    def append(self, lines: Iterator[Line]) -> Iterator[Line]:
        """Write each line, then pass it on."""
        with self._path.open("ab") as file:
            for line in lines:
                file.write(line.raw)
                file.flush()
                yield line

    def finish(self) -> None:
        """Give the file its name: it is whole."""
        self._path.touch()
        self._path.replace(self._target)
