"""Batches over HTTP: a file streamed up, results streamed down. Knows routes and headers, and nothing of terminals."""

from __future__ import annotations

import hashlib
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import httpx2

from evalctl.client import refusal
from evalctl.settings import is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

Document = dict[str, Any]
"""A JSON answer of the server."""

_PIECE_BYTES = 1 << 18
_GZIP = 16 + zlib.MAX_WBITS
_GZIP_MAGIC = b"\x1f\x8b"
_SILENCE_S = 60.0
"""The server breaks a silence earlier."""


class BatchError(Exception):
    """It cannot be done; the message is one sentence for people."""


class Unreachable(BatchError):  # noqa: N818 (says what is the case)
    """The server did not answer, or broke off: trying again makes sense."""


class BatchServer:
    """The batch routes of one server. A context manager."""

    def __init__(self, url: str, token: str | None) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._url = f"{url}/v1/batches"
        try:
            # A proxy meant for the outside world cannot reach our own loopback.
            trust_env = not is_loopback(httpx2.URL(url).host)
        except httpx2.InvalidURL as error:
            raise BatchError(f"EVAL_URL is no URL: {error}") from None
        timeout = httpx2.Timeout(10, read=_SILENCE_S, write=_SILENCE_S)
        self._http = httpx2.Client(trust_env=trust_env, timeout=timeout, headers=headers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def submit(self, path: Path, *, key: str | None) -> Document:
        """Upload a file of JSON Lines (or a gzip of one); 202's document, with `replayed` beside its own fields."""
        headers = {"Content-Type": "application/jsonl", "Content-Encoding": "gzip"}
        if key is not None:
            headers["Idempotency-Key"] = key
        with self._answers():
            answer = self._http.post(self._url, content=_gzipped(path), headers=headers)
        return _document(answer, 202) | {"replayed": "idempotent-replayed" in answer.headers}

    def view(self, batch_id: str) -> Document:
        """How far a batch is."""
        with self._answers():
            return _document(self._http.get(f"{self._url}/{batch_id}"), 200)

    def cancel(self, batch_id: str) -> Document:
        """Cancel a batch; what it is then."""
        with self._answers():
            return _document(self._http.delete(f"{self._url}/{batch_id}"), 202)

    def list(self, *, limit: int) -> Iterator[Document]:
        """Batches of this token, the newest first."""
        parameters: Mapping[str, str | int] = {"limit": min(limit, 100)}
        while limit > 0:
            with self._answers():
                page = _document(self._http.get(self._url, params=parameters), 200)
            yield from page["batches"][:limit]
            limit -= len(page["batches"])
            if not page["next"] or not page["batches"]:
                return
            parameters = {"limit": min(limit, 100), "before": page["next"]}

    def results(self, batch_id: str, *, after: int, order: str, follow: bool) -> Iterator[bytes]:
        """Lines as they come, each with its line end; a line that was broken off is left out. Raises Unreachable."""
        parameters: Mapping[str, str | int] = {"after": after, "order": order, "follow": str(follow).lower()}
        url = f"{self._url}/{batch_id}/results"
        with self._answers(), self._http.stream("GET", url, params=parameters) as answer:
            if answer.status_code != httpx2.codes.OK:
                answer.read()
                raise BatchError(refusal(answer))
            held = b""
            for piece in answer.iter_bytes():
                *lines, held = (held + piece).split(b"\n")
                yield from (line + b"\n" for line in lines if line.strip())

    @contextmanager
    def _answers(self) -> Iterator[None]:
        try:
            yield
        except httpx2.HTTPError as error:
            raise Unreachable(f"no answer from {self._url}: {error or type(error).__name__}") from None


def key_of(path: Path) -> str:
    """Idempotency-Key that stands for a file's content."""
    with path.open("rb") as file:
        return f"evalctl-{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _gzipped(path: Path) -> Iterator[bytes]:
    """The file as gzip, read as it is sent; one that is gzip already as it is."""
    with path.open("rb") as file:
        piece = file.read(_PIECE_BYTES)
        if piece.startswith(_GZIP_MAGIC):
            while piece:
                yield piece
                piece = file.read(_PIECE_BYTES)
            return
        packer = zlib.compressobj(1, zlib.DEFLATED, _GZIP)
        while piece:
            if packed := packer.compress(piece):
                yield packed
            piece = file.read(_PIECE_BYTES)
        yield packer.flush()


def _document(answer: httpx2.Response, status: int) -> Document:
    if answer.status_code != status:
        raise BatchError(refusal(answer))
    try:
        document = answer.json()
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise BatchError("the answer is not a batch's; is this an Evalpool server?")
    return document
