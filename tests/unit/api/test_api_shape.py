"""A wrong body costs no more than a right one: its first fault of shape ends the look, before a model reads it."""

from __future__ import annotations

import gzip
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from api import faults, shape
from api.batches.body import Body
from api.batches.items import Items
from api.batches.schemas import BatchHeader, BatchItem, JudgeItem
from api.errors import FieldError, InvalidRequest
from api.judge.schemas import JudgeRequest
from api.parse import parse
from api.schemas import EvalRequest, TextEvalRequest
from api.settings import ApiSettings
from jobs.batches.model import Draft

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobs.model import Job

MANY = 400_000
CONTENT = f"one of its values {faults.CONTENT}"


def listed(element: bytes, many: int = MANY) -> bytes:
    return b"[" + b",".join([element] * many) + b"]"


def members(value: bytes, many: int = MANY // 2) -> bytes:
    return b",".join(b'"%d":%b' % (number, value) for number in range(many))


def of(body: bytes, model: type[BaseModel] = EvalRequest) -> tuple[type[BaseModel], bytes]:
    return model, body


WRONG: dict[str, tuple[tuple[type[BaseModel], bytes], str, str]] = {
    "numbers": (of(b'{"code":"1","args":%b}' % listed(b"1")), "args.0", "must be a string"),
    "lists": (of(b'{"code":"1","args":["a",%b' % listed(b"[]")[1:] + b"}"), "args.1", "must be a string"),
    "globs": (of(b'{"code":"1","outputs":%b}' % listed(b"{}")), "outputs.0", "must be a string"),
    "too many": (of(b'{"code":"1","args":%b}' % listed(b'"a"')), "args", "must be at most 1000"),
    "variables": (of(b'{"code":"1","env":{%b}}' % members(b"1")), "env", "one of its values must be a string"),
    "too many variables": (of(b'{"code":"1","env":{%b}}' % members(b'""')), "env", "must be at most 1000"),
    "files": (of(b'{"code":"1","files":{%b}}' % members(b"{}")), "files", CONTENT),
    "text files": (of(b'{"code":"1","files":{%b}}' % members(b"1"), TextEvalRequest), "files", CONTENT),
    "unknown fields": (of(b'{"code":"1",%b}' % members(b"1")), "0", faults.UNKNOWN),
    "a list for a number": (of(b'{"code":"1","timeout_s":%b}' % listed(b"[]")), "timeout_s", "must be a number"),
    "a list": (of(listed(b"{}")), "body", "must be an object"),
    "no code": (of(b'{"args":%b,"stdin":"%b"}' % (listed(b'"a"', 9), b"," * MANY)), "code", faults.REQUIRED),
    "cases": (of(b'{"code":"1","cases":%b}' % listed(b"1"), JudgeRequest), "cases.0", "must be an object"),
    "empty cases": (of(b'{"code":"1","cases":%b}' % listed(b"{}"), JudgeRequest), "cases", "must be at most 10000"),
    "a case's": (
        of(b'{"code":"1","cases":[{},{"args":%b}]}' % listed(b"1"), JudgeRequest),
        "cases.1.args.0",
        "must be a string",
    ),
    "a case's files": (
        of(b'{"code":"1","cases":%b}' % listed(b'{"files":{"a":1}}'), JudgeRequest),
        "cases.0.files",
        CONTENT,
    ),
    "defaults": (
        of(b'{"batch":{"defaults":{"args":%b}}}' % listed(b'"a"'), BatchHeader),
        "batch.defaults.args",
        "must be at most 1000",
    ),
    "cut off": (
        of(b'{"code":"1","stdin":"%b' % (b"a," * MANY)),
        "body",
        "is not valid JSON (input data was truncated)",
    ),
    "no UTF-8": (of(b'{"code":"1","stdin":"%b\xff"}' % (b"a," * MANY)), "body", "is not valid JSON (invalid UTF-8)"),
    "half a pair": (of(b'{"code":"1","stdin":"%b\\ud83d"}' % (b"a," * MANY)), "body", faults.SURROGATE),
}


def cpu_s(act: Callable[[], object]) -> float:
    started = time.process_time()
    act()
    return time.process_time() - started


@pytest.mark.parametrize(("asked", "field", "message"), WRONG.values(), ids=WRONG)
def test_a_large_wrong_body_is_told_by_its_first_fault(
    asked: tuple[type[BaseModel], bytes], field: str, message: str
) -> None:
    """2,000,000 numbers in `args`, 4 MB, once were 28 s of an API that answered nobody, and 2 GB."""
    with pytest.raises(InvalidRequest) as caught:
        parse(*asked)

    assert caught.value.errors == (FieldError(field, message),)


@pytest.mark.parametrize("asked", [asked for asked, *_ in WRONG.values()], ids=WRONG)
def test_it_costs_no_more_than_to_read_it(asked: tuple[type[BaseModel], bytes]) -> None:
    model, body = asked
    right = b'{"code":"1","other":{%b}}' % members(b'"a"')

    def refuse() -> None:
        with pytest.raises(InvalidRequest):
            parse(model, body)

    refuse()  # makes the types

    assert min(cpu_s(refuse) for _ in range(3)) < 6 * max(cpu_s(lambda: json.loads(right)) for _ in range(3))


def test_a_wrong_body_of_few_elements_is_told_in_full() -> None:
    """However long it is: a program of 100 KB with two bad fields is no attack."""
    body = json.dumps({"code": "x" * 100_000, "args": [1, "a", 2], "timeout_s": "5", "cod": 1}).encode()
    with pytest.raises(InvalidRequest) as caught:
        parse(EvalRequest, body)

    assert {"args.0", "args.2", "timeout_s", "cod"} == {error.field for error in caught.value.errors}


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
RIGHT: dict[str, st.SearchStrategy[Any]] = {
    "code": st.text(),
    "stdin": st.text(),
    "files": st.dictionaries(st.text(max_size=3), st.text() | st.builds(dict, base64=st.text())),
    "args": st.lists(st.text()),
    "env": st.dictionaries(st.text(max_size=3), st.text()),
    "timeout_s": st.none() | st.integers() | st.floats(),
    "memory_bytes": st.none() | st.integers(),
    "outputs": st.lists(st.text()),
    "strace": st.booleans(),
    "custom_id": st.text(),
    "compare": st.sampled_from(["exact", "float"]),
    "tolerance": st.none() | st.floats() | st.integers() | st.builds(dict, absolute=st.floats(0, 1)),
    "cases": st.lists(st.fixed_dictionaries({}, optional={"id": st.text(), "args": st.lists(st.text())})),
}


def bodies(model: type[BaseModel]) -> st.SearchStrategy[bytes]:
    """Bodies of which most fields are right, and any may be anything."""
    known = {name: RIGHT.get(name, ANY) for name in model.model_fields}
    wrong = st.dictionaries(st.sampled_from([*known, "other"]), ANY, max_size=1)
    needed = {name: known.pop(name) for name in ("code", "batch") if name in known}
    right = st.fixed_dictionaries(needed, optional=known)
    return st.builds(lambda one, other: json.dumps(one | other).encode(), right, wrong)


@pytest.mark.parametrize("model", [EvalRequest, TextEvalRequest, JudgeRequest, BatchItem, JudgeItem, BatchHeader])
@settings(max_examples=200, deadline=None)
@given(st.data())
def test_the_shape_refuses_nothing_that_the_model_takes(model: type[BaseModel], data: st.DataObject) -> None:
    body = data.draw(bodies(model))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shape, "few", lambda _: False)
        found = shape.fault(model, body)
    try:
        model.model_validate_json(body)
    except ValidationError as error:
        named = [fault.field for fault in faults.told(error.errors())]
        assert found is None or "body" in (found.field, *named) or any(one.startswith(found.field) for one in named)
    else:
        assert found is None or "is not valid JSON" in found.message  # NaN, of which the checks say what it is


async def jobs_of(body: bytes, media_type: bytes = b"application/json", coding: bytes = b"identity") -> list[Job]:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    headers = [(b"content-type", media_type), (b"content-encoding", coding)]
    draft = Draft(id="b", owner="o", created_at=time.time(), timeout_s=60, result_ttl_s=50, result_bytes=1 << 20)
    items = Items(Body({"headers": headers}, receive, bound_bytes=1 << 30), draft, ApiSettings(token_auth="t"))
    return [job async for job in items.jobs()]


WRONG_BATCHES = {
    "unknown field": (b'{"x":1,"items":%b}' % listed(b"1"), "x", faults.UNKNOWN),
    "numbers": (b'{"items":%b}' % listed(b"1"), "items.0", "must be an object"),
    "empty": (b'{"items":%b}' % listed(b"{}"), "items.0.custom_id", faults.REQUIRED),
    "too many": (b'{"items":%b}' % listed(b'{"custom_id":"a"}'), "items", "must be at most 100000"),
    "metadata": (b'{"items":[],"metadata":{%b}}' % members(b"1"), "metadata", "one of its values must be a string"),
    "no list": (b'{"items":"%b"}' % (b"a," * MANY), "items", "must be a list"),
}


@pytest.mark.parametrize(("body", "field", "message"), WRONG_BATCHES.values(), ids=WRONG_BATCHES)
async def test_a_large_wrong_batch_is_told_by_its_first_fault(body: bytes, field: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await jobs_of(body)

    assert caught.value.errors == (FieldError(field, message),)


async def test_a_small_wrong_batch_is_told_in_full() -> None:
    with pytest.raises(InvalidRequest) as caught:
        await jobs_of(b'{"x": 1, "y": 1, "items": []}')
    assert {"x", "y"} == {error.field for error in caught.value.errors}

    with pytest.raises(InvalidRequest) as caught:
        await jobs_of(b'{"items": [1, {"custom_id": 1}]}')
    assert [error.field for error in caught.value.errors] == ["items.0", "items.1.custom_id"]


async def test_a_line_with_any_number_of_unknown_fields_is_told_by_the_first() -> None:
    with pytest.raises(InvalidRequest) as caught:
        await jobs_of(b'{"custom_id":"a","cases":[],%b}\n' % members(b"1"), b"application/jsonl")

    assert caught.value.errors == (FieldError("0", faults.UNKNOWN, line=1),)


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        (b"application/json", b'\xef\xbb\xbf{"items": [{"custom_id": "a", "code": "1"}]}'),
        (b"application/jsonl", b'\xef\xbb\xbf{"custom_id": "a", "code": "1"}\n'),
        (b"application/jsonl", b'\xef\xbb\xbf{"batch": {}}\n\xef\xbb\xbf{"custom_id": "a", "code": "1"}\n'),
    ],
    ids=["document", "line", "header, and a second file"],
)
async def test_a_byte_order_mark_is_no_part_of_a_batch(media_type: bytes, body: bytes) -> None:
    """As editors on Windows put it before a text. `evalctl batch submit` sends files as they are, as gzip."""
    for data, coding in ((body, b"identity"), (gzip.compress(body), b"gzip")):
        assert [job.custom_id for job in await jobs_of(data, media_type, coding)] == ["a"]
