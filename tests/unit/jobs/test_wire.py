from __future__ import annotations

import pickle

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import keys, wire
from jobs.errors import WireError
from jobs.model import Chunk, Job, JobResult, Lane, Output, OutputStream, Reason, SharedPart, Status, WorkerInfo

JOB = Job(
    id="j1",
    code="print(1)",
    stdin="in",
    files={"data/a.bin": b"\x00\xff"},
    args=("-v",),
    env={"A": "ä"},
    outputs=("*.png",),
    lane=Lane.BATCH,
    submitted_at=1.5,
    deadline_at=11.5,
    reply_to="inbox",
    keep_result=True,
)
JOB_V1_BEFORE_STREAM = bytes.fromhex(
    "9201de0013a26964a26a31a4636f6465a87072696e74283129a5737464696ea2696ea566696c657381aa646174612f61"
    "2e62696ec40200ffa46172677391a22d76a3656e7681a141a2c3a4ab656e7669726f6e6d656e74a764656661756c74a9"
    "74696d656f75745f73cb4024000000000000ac6d656d6f72795f6279746573ce10000000ac6f75747075745f62797465"
    "73ce00100000a76f75747075747391a52a2e706e67b0696e7465727072657465725f6d6f6465c2a6737472616365c2ad"
    "6d657267655f73747265616d73c2a46c616e65a56261746368ac7375626d69747465645f6174cb3ff8000000000000ab"
    "646561646c696e655f6174cb4027000000000000a87265706c795f746fa5696e626f78ab6b6565705f726573756c74c3"
)
IN_BATCH = (b"\xa5batch\xc0", b"\xa5index\x00", b"\xa9custom_id\xa0")
SHARES = b"\xa6shares\x92\xa4code\xa5files"
ADDED = (
    *(b"\xa6stream\xc2", b"\xa7figures\xc2", b"\xa7display\xc2", *IN_BATCH),
    *(b"\xa6shared\xc0", b"\xa5judge\xc0", SHARES),
)
"""Fields that version 1 got later, in their order, with their defaults."""
JOB_V1 = JOB_V1_BEFORE_STREAM.replace(b"\xde\x00\x13", bytes([0xDE, 0, 0x13 + len(ADDED)]), 1) + b"".join(ADDED)
PART = SharedPart(code="print(1)", files={"a.bin": b"\x00\xff"})
PART_V1_BEFORE_BATCHES = bytes.fromhex("920182a4636f6465a87072696e74283129a566696c657381a5612e62696ec40200ff")
PART_V1 = PART_V1_BEFORE_BATCHES.replace(b"\x82", b"\x86", 1) + b"\xa5stdin\xa0\xa4args\x90\xa3env\x80\xa7outputs\x90"
RESULT = JobResult(
    job_id="j1",
    status=Status.INTERNAL,
    reason=Reason.SANDBOX,
    message="jail failed",
    stdout="1\n",
    exit_code=0,
    files={"a.png": b"\x89"},
    wall_ms=1.25,
    attempt=2,
)
RESULT_V1_BEFORE_FIGURES = bytes.fromhex(
    "9201de0012a66a6f625f6964a26a31a6737461747573a8696e7465726e616ca6726561736f6ea773616e64626f78a76d"
    "657373616765ab6a61696c206661696c6564a67374646f7574a2310aa6737464657272a0a9657869745f636f646500a6"
    "7369676e616cc0b07374646f75745f7472756e6361746564c2b07374646572725f7472756e6361746564c2a566696c65"
    "7381a5612e706e67c40189a777616c6c5f6d73cb3ff4000000000000a66370755f6d73cb0000000000000000ac6d656d"
    "6f72795f627974657300a871756575655f6d73cb0000000000000000a672756e5f6d73cb0000000000000000a7617474"
    "656d707402a47761726dc2"
)
RESULT_V1 = RESULT_V1_BEFORE_FIGURES.replace(b"\xde\x00\x12", b"\xde\x00\x16", 1) + (
    b"\xa7figures\x90\xa7display\x90" + b"\xa7compile\xc0\xa5cases\x90"
)
OUTPUT = Output(attempt=2, run=1, chunks=(Chunk(stream=OutputStream.STDERR, offset=3, text="ä\n"),))
OUTPUT_V1 = bytes.fromhex(
    "920183a7617474656d707402a372756e01a66368756e6b739183a673747265616da6737464657272a66f666673657403a474657874a3c3a40a"
)
WORKER = WorkerInfo(id="w1", slots=2, environments=("default",), started_at=1.5)

text = st.text()
files = st.dictionaries(text, st.binary(), max_size=3)
seconds = st.floats(allow_nan=False)
jobs = st.builds(
    Job,
    id=text,
    code=text,
    stdin=text,
    files=files,
    args=st.lists(text).map(tuple),
    env=st.dictionaries(text, text, max_size=3),
    timeout_s=seconds,
    memory_bytes=st.integers(0, 2**63),
    outputs=st.lists(text).map(tuple),
    interpreter_mode=st.booleans(),
    lane=st.sampled_from(Lane),
    submitted_at=seconds,
    deadline_at=seconds,
    reply_to=st.none() | text,
    stream=st.booleans(),
    figures=st.booleans(),
    shared=st.none() | text,
)
results = st.builds(
    JobResult,
    job_id=text,
    status=st.sampled_from(Status),
    reason=st.none() | st.sampled_from(Reason),
    stdout=text,
    exit_code=st.none() | st.integers(-(2**31), 2**31),
    signal=st.none() | st.integers(1, 64),
    files=files,
    wall_ms=seconds,
    figures=st.lists(st.binary(), max_size=3).map(tuple),
    display=st.lists(st.dictionaries(text, text, max_size=3), max_size=3).map(tuple),
)


@given(jobs)
def test_a_job_comes_back_as_it_went(job):
    assert wire.decode_job(wire.encode(job)) == job


@given(results)
def test_a_result_comes_back_as_it_went(result):
    data = wire.encode(result)

    assert wire.decode_result(data) == result
    assert data[:1] not in (keys.SUBMITTED, keys.QUEUED)


@given(st.binary())
def test_any_bytes_decode_or_raise_wire_error(data):
    for decode in (wire.decode_job, wire.decode_result, wire.decode_output, wire.decode_shared, wire.decode_worker):
        with pytest.raises(WireError):
            decode(data)


def test_entries_of_version_1_are_still_read():
    assert wire.decode_job(JOB_V1) == JOB
    assert wire.decode_job(JOB_V1_BEFORE_STREAM) == JOB
    assert wire.decode_result(RESULT_V1) == RESULT
    assert wire.decode_result(RESULT_V1_BEFORE_FIGURES) == RESULT
    assert wire.decode_output(OUTPUT_V1) == OUTPUT
    assert wire.decode_shared(PART_V1) == PART


def test_version_1_is_written_as_it_was():
    """A changed byte here means that workers and APIs of two releases no longer understand each other."""
    assert wire.encode(JOB) == JOB_V1
    assert wire.encode(RESULT) == RESULT_V1
    assert wire.encode(OUTPUT) == OUTPUT_V1
    assert wire.encode(PART) == PART_V1


def test_fields_of_a_newer_release_are_skipped_and_missing_ones_get_their_default():
    fields = {"id": "j1", "code": "x", "submitted_at": 1.0, "deadline_at": 2.0, "invented_later": [1]}

    job = wire.decode_job(msgspec.msgpack.encode((1, fields)))

    assert job == Job(id="j1", code="x", submitted_at=1.0, deadline_at=2.0)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(wire.encode(JOB)[:-1], id="cut short"),
        pytest.param(wire.encode(JOB) + b"\x00", id="something behind"),
        pytest.param(wire.encode(RESULT), id="a result"),
        pytest.param(pickle.dumps(JOB), id="a pickle"),
        pytest.param(msgspec.msgpack.encode((2, {"id": "j1"})), id="version 2"),
        pytest.param(msgspec.msgpack.encode((1, {"id": "j1", "code": 7})), id="wrong type"),
        pytest.param(msgspec.msgpack.encode((1, {"id": "j1", "code": "x"})), id="fields missing"),
        pytest.param(msgspec.msgpack.encode({"id": "j1"}), id="no version"),
    ],
)
def test_what_is_not_a_job_is_a_wire_error(data):
    with pytest.raises(WireError):
        wire.decode_job(data)


def test_a_text_that_is_not_unicode_is_a_wire_error_on_the_way_out():
    with pytest.raises(WireError):
        wire.encode(Job(id="j1", code="\ud800", submitted_at=1.0, deadline_at=2.0))


def test_a_worker_notice_is_json_and_comes_back():
    data = wire.encode_worker(WORKER)

    assert data == b'{"id":"w1","slots":2,"environments":["default"],"started_at":1.5,"about":{}}'
    assert wire.decode_worker(data) == WORKER
