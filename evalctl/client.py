"""One eval over HTTP: events as they come. Understands a streamed answer and a plain one."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx2

from evalctl.settings import is_loopback

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping

_STREAM = "text/event-stream"
_QUEUE_ALLOWANCE_S = 120.0


class EvalFailed(Exception):  # noqa: N818 (says what is the case)
    """There is no result: the server is out of reach or refused; the message is one sentence for people."""


@dataclass(frozen=True, slots=True)
class Output:
    """A piece of what the program wrote."""

    stream: str
    """`stdout` or `stderr`."""
    text: str


@dataclass(frozen=True, slots=True)
class Restarted:
    """The program was started again: its output so far is void."""


@dataclass(frozen=True, slots=True)
class Result:
    """The end of an eval: the JSON of `POST /v1/eval`."""

    body: Mapping[str, Any]
    streamed: bool
    """Its output came as `Output` events already."""


def evaluate(url: str, token: str | None, request: Mapping[str, Any]) -> Generator[Output | Restarted | Result]:
    """Run one eval; yields output as it arrives and the result last. Raises EvalFailed.

    Closing the iterator closes the connection, which cancels the eval.
    """
    headers = {"Accept": f"{_STREAM}, application/json;q=0.9"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    read_s = _QUEUE_ALLOWANCE_S + float(request.get("timeout_s", 0.0))
    try:
        # A proxy meant for the outside world cannot reach our own loopback.
        trust_env = not is_loopback(httpx2.URL(url).host)
        with (
            httpx2.Client(trust_env=trust_env, timeout=httpx2.Timeout(10, read=read_s)) as http,
            http.stream("POST", f"{url}/v1/eval", json=request, headers=headers) as answer,
        ):
            yield from _events(answer)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise EvalFailed(f"no answer from {url}: {error}") from None


def _events(answer: httpx2.Response) -> Iterator[Output | Restarted | Result]:
    if answer.status_code != httpx2.codes.OK:
        answer.read()
        raise EvalFailed(refusal(answer))
    if not answer.headers.get("content-type", "").startswith(_STREAM):
        answer.read()
        yield Result(_decoded(answer.text), streamed=False)
        return
    for name, data in server_sent(answer.iter_lines()):
        if name in {"stdout", "stderr"}:
            yield Output(name, str(json.loads(data)))
        elif name == "restart":
            yield Restarted()
        elif name == "result":
            yield Result(_decoded(data), streamed=True)
            return
        elif name == "error":
            raise EvalFailed(_failure(data))
    raise EvalFailed("the server closed the stream before the result")


def server_sent(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Events of a `text/event-stream` as (name, data); comments and unknown fields are skipped."""
    name, data = "message", list[str]()
    for line in lines:
        key, _, value = line.partition(":")
        if key == "event":
            name = value.removeprefix(" ")
        elif key == "data":
            data.append(value.removeprefix(" "))
        elif not line:
            if data:
                yield name, "\n".join(data)
            name, data = "message", []


def _decoded(text: str) -> Mapping[str, Any]:
    with contextlib.suppress(ValueError):
        body = json.loads(text)
        if isinstance(body, dict) and "status" in body:
            return body
    raise EvalFailed("the answer is not an eval's result; is this an Evalpool server?")


def refusal(answer: httpx2.Response) -> str:
    """One sentence out of a problem document, or out of whatever came."""
    words = _words(answer.text)
    if words:
        return f"refused with HTTP {answer.status_code}: {words}"
    return f"refused with HTTP {answer.status_code} {answer.reason_phrase}"


def _failure(problem: str) -> str:
    """One sentence out of the problem document of an eval that was accepted."""
    return _words(problem) or "the eval failed, the server does not say why"


def _words(problem: str) -> str | None:
    with contextlib.suppress(ValueError):
        document = json.loads(problem)
        if isinstance(document, dict):
            return document.get("detail") or document.get("title")
    return None
