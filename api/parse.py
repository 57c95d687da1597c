"""Body bytes -> request model, with every fault named by field and none of them quoted."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from api import faults, shape
from api.errors import InvalidRequest, TooLarge, WrongMediaType

if TYPE_CHECKING:
    from starlette.types import Receive, Scope

Model = TypeVar("Model", bound=BaseModel)

MAX_ERRORS = 20
"""A body of a million bad fields is not answered by a million messages."""
BOM = b"\xef\xbb\xbf"
"""What some editors put before a text; it is none of it."""


async def read_body(scope: Scope, receive: Receive, *, bound_bytes: int) -> bytes:
    """Take the whole body. Raises WrongMediaType, TooLarge (unread, if announced), ClientDisconnect."""
    _expect_json(scope, bound_bytes)
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        return _bounded(message.get("body", b""), bound_bytes)
    body = bytearray()
    while message["type"] == "http.request":
        body += message.get("body", b"")
        if len(body) > bound_bytes or not message.get("more_body", False):
            return _bounded(bytes(body), bound_bytes)
        message = await receive()
    raise ClientDisconnect


def _bounded(body: bytes, bound_bytes: int) -> bytes:
    if len(body) > bound_bytes:
        raise TooLarge(field="body", bound_bytes=bound_bytes)
    return body


def _expect_json(scope: Scope, bound_bytes: int) -> None:
    media_type = b""
    for name, value in scope["headers"]:
        if name == b"content-type":
            media_type = value.partition(b";")[0].strip().lower()
        elif name == b"content-length" and value.isdigit() and int(value[:20]) > bound_bytes:
            raise TooLarge(field="body", bound_bytes=bound_bytes)
        elif name == b"content-encoding" and value.lower() != b"identity":
            raise WrongMediaType
    if media_type != b"application/json":
        raise WrongMediaType


def parse(model: type[Model], body: bytes) -> Model:
    """Body as the model. Raises InvalidRequest."""
    body = body.removeprefix(BOM)
    if len(body) > shape.UNSEEN_BYTES and (fault := shape.fault(model, body)):
        raise InvalidRequest([fault])
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=True, include_input=False)
        # `from None`: the original's text quotes the program.
        raise InvalidRequest(faults.told(found)[:MAX_ERRORS]) from None
