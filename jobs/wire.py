"""Jobs, results and worker notices <-> bytes; the only codec. Never pickle.

A job, result, output or shared part is the msgpack array `[WIRE_VERSION, {field: value}]`. Within one version fields
may be added that have a default: older readers skip them, newer readers fill them in. All else is a new version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from jobs.errors import WireError
from jobs.model import Job, JobResult, Output, SharedPart, WorkerInfo

if TYPE_CHECKING:
    from typing import Final

WIRE_VERSION: Final = 1

T = TypeVar("T")

_encoder = msgspec.msgpack.Encoder()
_envelope = msgspec.msgpack.Decoder(tuple[int, msgspec.Raw])
_job = msgspec.msgpack.Decoder(Job)
_result = msgspec.msgpack.Decoder(JobResult)
_output = msgspec.msgpack.Decoder(Output)
_shared = msgspec.msgpack.Decoder(SharedPart)
_worker = msgspec.json.Decoder(WorkerInfo)
# msgspec's messages name fields and types, never their content.
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def encode(value: Job | JobResult | Output | SharedPart) -> bytes:
    """Bytes of a value. Raises WireError if a text in it is not Unicode (a lone surrogate)."""
    try:
        return _encoder.encode((WIRE_VERSION, value))
    except UnicodeEncodeError as error:
        raise WireError(f"not encodable: {error.reason}") from error


def decode_job(data: bytes) -> Job:
    """Raise WireError unless the bytes are a job of a version we know."""
    return _decode(_job, data)


def decode_result(data: bytes) -> JobResult:
    """Raise WireError unless the bytes are a result of a version we know."""
    return _decode(_result, data)


def decode_output(data: bytes) -> Output:
    """Raise WireError unless the bytes are an output of a version we know."""
    return _decode(_output, data)


def decode_shared(data: bytes) -> SharedPart:
    """Raise WireError unless the bytes are a shared part of a version we know."""
    return _decode(_shared, data)


def encode_worker(worker: WorkerInfo) -> bytes:
    """JSON, so that an operator can read it."""
    return msgspec.json.encode(worker)


def decode_worker(data: bytes) -> WorkerInfo:
    """Raise WireError unless the bytes are a worker's notice."""
    try:
        return _worker.decode(data)
    except _UNREADABLE as error:
        raise WireError(str(error)) from error


def _decode(decoder: msgspec.msgpack.Decoder[T], data: bytes) -> T:
    try:
        version, body = _envelope.decode(data)
        if version != WIRE_VERSION:
            raise WireError(f"wire version {version}, this process knows {WIRE_VERSION}")
        return decoder.decode(body)
    except _UNREADABLE as error:
        raise WireError(str(error)) from error
