"""The body of a batch, however it is cut into pieces: the same lines, bounded, and never more held than one."""

from __future__ import annotations

import asyncio
import gzip
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect, Request

from api.batches.body import BLANK_BYTES, PIECE_BYTES, Body
from api.edge import CALLER
from api.errors import BodyStoodStill, InvalidRequest, TooLarge, WrongMediaType
from api.routes.batches import Batches
from api.settings import ApiSettings
from jobs.batches.store import Intake
from jobs.errors import TooManyBatches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobs.batches.model import Draft

LINES = {b"content-type": b"application/jsonl"}
GZIP = LINES | {b"content-encoding": b"gzip"}


def body(pieces: Sequence[bytes], headers: dict[bytes, bytes] = LINES, bound_bytes: int = 1 << 30) -> Body:
    left = list(pieces)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": left.pop(0) if left else b"", "more_body": bool(left)}

    return Body({"headers": list(headers.items())}, receive, bound_bytes=bound_bytes)


async def lines(one: Body, bound_bytes: int = 1 << 20) -> list[tuple[int, bytes]]:
    return [line async for line in one.lines(bound_bytes=bound_bytes)]


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@given(st.lists(st.sampled_from([b"", b" ", b"a", b"bc", b"\r", b"def" * 9])), st.integers(1, 40), st.booleans())
async def test_lines_are_the_same_however_they_arrive(given_lines, size, end):
    data = b"\n".join(given_lines) + (b"\n" if end else b"")
    expected = [(number, line) for number, line in enumerate(given_lines, 1) if line.strip()]

    assert await lines(body(cut(data, size))) == expected
    assert await lines(body(cut(gzip.compress(data), size), GZIP)) == expected


async def test_several_gzip_members_are_one_body():
    data = gzip.compress(b"a\nb") + gzip.compress(b"c\nd\n")

    assert await lines(body(cut(data, 7), GZIP)) == [(1, b"a"), (2, b"bc"), (3, b"d")]


async def test_a_bomb_is_noticed_before_it_goes_off():
    bomb = gzip.compress(b"0" * (64 << 20))
    one = body([bomb], GZIP, bound_bytes=3 * PIECE_BYTES)
    pieces = one.pieces()
    taken = [len(await anext(pieces)) for _ in range(3)]

    assert len(bomb) < 1 << 17
    assert max(taken) <= PIECE_BYTES
    with pytest.raises(TooLarge):
        await anext(pieces)


@pytest.mark.parametrize("headers", [LINES, GZIP], ids=["plain", "gzip"])
async def test_others_have_their_turn_while_a_small_body_is_much_work(headers):
    """300 KB of gzip, 300 MB of line ends, once held up the process for 35 s."""
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    data = b"\n" * BLANK_BYTES
    beside = asyncio.create_task(other())
    one = body([gzip.compress(data) if headers is GZIP else data], headers)
    assert await lines(one) == []
    beside.cancel()

    assert turns >= BLANK_BYTES // PIECE_BYTES


async def test_blank_lines_are_bounded():
    item = b'{"code": "1"}'
    data = b"\r\n".join([item, b"", b"  "] * 100_000)
    assert len(await lines(body(cut(data, 1 << 18)))) == 100_000

    begun = iter(cut(gzip.compress(b"\n" * (64 << 20)), 100))
    taken: list[bytes] = []

    async def receive() -> dict[str, Any]:
        taken.append(next(begun))
        return {"type": "http.request", "body": taken[-1], "more_body": True}

    with pytest.raises(TooLarge, match="blank lines"):
        await lines(Body({"headers": list(GZIP.items())}, receive, bound_bytes=1 << 30))
    assert sum(map(len, taken)) < 10_000, "of 65,000"


async def test_gzip_that_holds_nothing_is_bounded_too():
    with pytest.raises(TooLarge, match="body"):
        await lines(body([gzip.compress(b"")] * 60, GZIP, bound_bytes=1000))


@pytest.mark.parametrize(
    "data",
    [b"no gzip", gzip.compress(b"a\n")[:-9], gzip.compress(b"a\n") + b"more"],
    ids=["none", "cut off", "more"],  # the bytes hold the time
)
async def test_broken_gzip_is_the_callers_fault(data):
    with pytest.raises(InvalidRequest):
        await lines(body([data], GZIP))


async def test_a_line_and_the_whole_are_bounded():
    with pytest.raises(TooLarge, match="line 2"):
        await lines(body([b"a\n", b"b" * 50, b"b" * 60]), bound_bytes=100)
    with pytest.raises(TooLarge, match="body"):
        await lines(body([b"a\n" * 60], bound_bytes=100))


async def test_a_caller_who_hangs_up_is_noticed():
    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    with pytest.raises(ClientDisconnect):
        await lines(Body({"headers": list(LINES.items())}, receive, bound_bytes=1))


@pytest.mark.parametrize(
    "headers",
    [{}, {b"content-type": b"text/plain"}, LINES | {b"content-encoding": b"br"}, {b"content-encoding": b"gzip"}],
)
async def test_other_media_types_are_refused(headers):
    with pytest.raises(WrongMediaType):
        body([b"a"], headers)


@pytest.mark.parametrize("then", [{"type": "http.disconnect"}, BodyStoodStill(60)], ids=["hangs up", "stands still"])
async def test_who_is_refused_and_hangs_up_was_refused(then):
    """It once was a failure of ours: a 500 in the metrics, and an error in the log."""

    async def reserve(*_: object) -> int:
        raise TooManyBatches(what="batches", open_now=1, bound=1)

    async def none(*_: object) -> None:
        return None

    async def receive() -> dict[str, Any]:
        if isinstance(then, Exception):
            raise then
        return then

    desk: Any = SimpleNamespace(store=lambda _: SimpleNamespace(get=none), reserve=reserve)
    unserved: Any = None
    scope = {"type": "http", "headers": list(LINES.items()), CALLER: b"x" * 32}

    with pytest.raises(TooManyBatches):
        await Batches(ApiSettings(), desk, unserved).submit(Request(scope, receive))


async def test_a_batch_that_stands_still_is_waited_for_once_and_leaves_nothing():
    done: list[str] = []

    async def none(*_: object) -> None:
        return None

    async def room(*_: object) -> int:
        return 1

    async def give_up() -> None:
        done.append("given up")

    async def take_in(draft: Draft) -> Intake:
        intake = Intake(store, draft, "token")
        intake.give_up = give_up  # type: ignore[method-assign]
        return intake

    async def receive() -> dict[str, Any]:
        done.append("waited")
        raise BodyStoodStill(60)

    store: Any = SimpleNamespace(get=none, names=lambda _: None, take_in=take_in)
    desk: Any = SimpleNamespace(store=lambda _: store, reserve=room, archive=None, owners=SimpleNamespace(release=none))
    unserved: Any = None
    scope = {"type": "http", "headers": list(LINES.items()), CALLER: b"x" * 32}

    with pytest.raises(BodyStoodStill):
        await Batches(ApiSettings(), desk, unserved).submit(Request(scope, receive))
    assert done == ["waited", "given up"]
