"""Body bytes -> request model, with every fault named by field and none of them quoted."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from api.checks import file_field
from api.errors import FieldError, InvalidRequest, TooLarge, WrongMediaType

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails
    from starlette.types import Receive, Scope

Model = TypeVar("Model", bound=BaseModel)

MAX_ERRORS = 20
"""A body of a million bad fields is not answered by a million messages."""
_SHOWN = 64
_WORDS = {
    "missing": "is required",
    "extra_forbidden": "is not a field of this request",
    "string_type": "must be a string",
    "string_unicode": "must be valid Unicode",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "int_type": "must be an integer",
    "int_from_float": "must be an integer",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "json_invalid": "is not valid JSON",
    "recursion_loop": "is nested too deeply",
}


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
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=True, include_input=False)
        # `from None`: the original's text quotes the program.
        raise InvalidRequest(list(dict.fromkeys(_named(one) for one in found))[:MAX_ERRORS]) from None


def _named(error: ErrorDetails) -> FieldError:
    loc, kind = error["loc"], error["type"]
    if loc[:1] == ("files",) and len(loc) > 1 and loc[-1] != "[key]":
        return FieldError(file_field(str(loc[1])), 'must be text or {"base64": text}')
    field = ".".join(str(part)[:_SHOWN] for part in loc) or "body"
    message = _WORDS.get(kind, "is not valid")
    if kind == "json_invalid":
        message += f" ({error['ctx']['error']})"
    return FieldError(field.encode("unicode_escape").decode(), message)
