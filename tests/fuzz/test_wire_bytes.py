"""Whatever is in Redis: bytes are a value of ours, or a WireError."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import wire
from jobs.errors import WireError
from jobs.model import Chunk, Job, JobResult, Lane, Output, OutputStream, Reason, Status, WorkerInfo

if TYPE_CHECKING:
    from collections.abc import Callable

DECODERS: dict[type, Callable[[bytes], object]] = {
    Job: wire.decode_job,
    JobResult: wire.decode_result,
    Output: wire.decode_output,
    WorkerInfo: wire.decode_worker,
}
JOB = Job(id="j1", code="print(1)", files={"a": b"\xff"}, env={"A": "b"}, submitted_at=1.0, deadline_at=2.0)
RESULT = JobResult(job_id="j1", status=Status.OK, files={"a": b"\xff"}, exit_code=0)
OUTPUT = Output(attempt=1, run=1, chunks=(Chunk(stream=OutputStream.STDOUT, offset=0, text="ä"),))
WHOLE = [wire.encode(JOB), wire.encode(RESULT), wire.encode(OUTPUT)]
WORKER = WorkerInfo(id="w1", slots=2, environments=("default",), started_at=1.5)

names = st.sampled_from(sorted({field.name for model in (*DECODERS, Chunk) for field in fields(model)}))
words = st.sampled_from([*Status, *Reason, *Lane, *OutputStream]) | st.text()
scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | words | st.binary()
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(names | st.text(), inner), max_leaves=20)
envelopes = st.tuples(st.just(wire.WIRE_VERSION) | scalars, values).map(msgspec.msgpack.encode)
notices = values.map(msgspec.json.encode)
chunks = st.builds(Chunk, stream=st.sampled_from(OutputStream), offset=st.integers(0, 2**63), text=st.text())
counts = st.integers(1, 2**63)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A valid message with a few bytes replaced, cut out or put in."""
    data = bytearray(draw(st.sampled_from([*WHOLE, wire.encode_worker(WORKER)])))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(data)


def check(data: bytes) -> None:
    for kind, decode in DECODERS.items():
        try:
            value = decode(data)
        except WireError:
            continue
        assert type(value) is kind


@given(st.binary() | damaged() | envelopes | notices)
def test_any_bytes_are_a_value_or_a_wire_error(data: bytes) -> None:
    check(data)


@pytest.mark.parametrize(
    "data",
    [
        b"\x92\x01" + b"\x91" * 100_000,
        b"\x92\x01\x81\xa1x" + b"\x91" * 100_000,
        b"[" * 100_000,
        b'{"x":' + b"[" * 100_000,
        b'{"id":"\xff"}',
        b"\x92\x01\x81\xa2id\xa1\xff",
        b"\x92\x01\xdf\xff\xff\xff\xff",
        b"\x92\x01\xc6\xff\xff\xff\xff",
        b'{"slots":' + b"9" * 5_000 + b"}",
    ],
)
def test_what_is_deep_long_or_no_text_is_a_wire_error(data: bytes) -> None:
    for decode in DECODERS.values():
        with pytest.raises(WireError):
            decode(data)


@given(st.builds(Output, attempt=counts, run=counts, chunks=st.lists(chunks).map(tuple)))
def test_an_output_comes_back_as_it_went(output: Output) -> None:
    assert wire.decode_output(wire.encode(output)) == output


@given(
    st.builds(
        WorkerInfo,
        id=st.text(),
        slots=counts,
        environments=st.lists(st.text()).map(tuple),
        started_at=st.floats(0, allow_infinity=False),
    )
)
def test_a_notice_comes_back_as_it_went(worker: WorkerInfo) -> None:
    data = wire.encode_worker(worker)
    json.loads(data)

    assert wire.decode_worker(data) == worker


@given(st.text())
def test_a_wire_error_quotes_nothing(secret: str) -> None:
    data = msgspec.msgpack.encode((1, {"id": 1, "code": f"secret{secret}", "job_id": 1, "attempt": f"secret{secret}"}))
    for decode in (wire.decode_job, wire.decode_result, wire.decode_output):
        with pytest.raises(WireError) as raised:
            decode(data)
        assert "secret" not in str(raised.value)
