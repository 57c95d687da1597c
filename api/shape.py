"""The shape of a large body, before a model reads it: the first fault ends the look, and little is held of it.

A model tells every fault, at some microseconds each, and its parser holds the whole body as a tree before it begins:
two million wrong elements, in 4 MB, were half a minute of an API that answers nobody, and gigabytes. The types here
are made of the models, so that there is one truth. A body of few elements is left to the model, which tells all.
"""

from __future__ import annotations

import re
from functools import cache, reduce
from operator import or_
from types import GenericAlias, NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

import msgspec
from pydantic import BaseModel

from api import faults
from api.errors import FieldError

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

UNSEEN_BYTES = 2_048
"""So short a body cannot have many faults."""
FEW = 2_000
MOST_ELEMENTS = 10_000
"""Of a list whose model names no bound."""
MOST_MEMBERS = 100_000
"""Of an object whose fields the caller names."""

DECODING = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises at a body that it cannot take."""
_WORDS = {
    "str": "must be a string",
    "int": "must be an integer",
    "float": "must be a number",
    "bool": "must be true or false",
    "array": "must be a list",
    "object": "must be an object",
    "str | object": faults.CONTENT,
    "float | object": faults.TOLERANCE,
}
_TOO_MANY = "must be at most"
_UNTOLD = "is not valid"
_SCALARS = (str, int, float, bool, NoneType)
_AT = re.compile(r"(.*?)(?: - at `\$(.*)`)?", re.DOTALL)
_MEMBER = re.compile(r"Object (contains unknown|missing required) field `(.*)`", re.DOTALL)
_TOO_LONG = re.compile(r"Expected `\w+` of (?:at most length|length <=) (\d+)")
_EXPECTED = re.compile(r"Expected `(.*?)(?: \| null)?`, got")
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")
_HALF_PAIR = re.compile(rb"\\u[dD][89abAB]..(?!\\u[dD][c-fC-F])", re.DOTALL)


def fault(model: type[BaseModel], body: bytes) -> FieldError | None:
    """Find what is wrong with a body of many elements; None: nothing that the model could not tell in time."""
    try:
        _decoder(model).decode(body)
    except DECODING as error:
        return None if few(body) else _in_full(named(error, body), model)
    return None


def few(body: bytes) -> bool:
    """Whether there cannot be many elements, and so not many faults."""
    return len(body) <= FEW or sum(map(body.count, (b",", b"[", b"{"))) <= FEW


def named(error: Exception, body: bytes) -> FieldError:
    """What is wrong with the body, by msgspec's words about it: they hold names of fields, and no values."""
    if isinstance(error, RecursionError):
        return FieldError("body", faults.NESTED)
    if isinstance(error, msgspec.ValidationError) and (said := _AT.fullmatch(str(error))):
        return _placed(said[1], said[2] or "")
    return FieldError("body", _syntax(error, body))


def _placed(words: str, path: str) -> FieldError:
    above, member, _ = path.partition("[...]")
    loc = [name or int(number) for name, number in _STEP.findall(above)]
    if member:
        what = faults.CONTENT if loc[-1:] == ["files"] else _fault(words)
        return FieldError(faults.field_of(*loc), f"one of its values {what}")
    if missing := _MEMBER.fullmatch(words):
        loc.append(missing[2])
    return FieldError(faults.field_of(*loc), _fault(words))


def _fault(words: str) -> str:
    if member := _MEMBER.fullmatch(words):
        return faults.REQUIRED if member[1].startswith("missing") else faults.UNKNOWN
    if bound := _TOO_LONG.match(words):
        return f"{_TOO_MANY} {bound[1]}"
    expected = _EXPECTED.match(words)
    return _WORDS.get(expected[1], _UNTOLD) if expected else _UNTOLD


def _in_full(found: FieldError, model: type[BaseModel]) -> FieldError:
    """Name the list that is too long, by its bound: of those in the body itself msgspec does not say which."""
    if found.field != "body":
        return found
    lists = [name for name, info in model.model_fields.items() if get_origin(info.annotation) is list]
    return next((found._replace(field=name) for name in lists if found.message == _bound(model, name)), found)


def _bound(model: type[BaseModel], name: str) -> str:
    return f"{_TOO_MANY} {_most(model.model_fields[name])}"


def _syntax(error: Exception, body: bytes) -> str:
    why = "invalid UTF-8" if isinstance(error, UnicodeDecodeError) else str(error).removeprefix("JSON is malformed: ")
    # Half a pair at the end of a text is to msgspec an end of the body.
    if "surrogate" in why or ("truncated" in why and _HALF_PAIR.search(body)):
        return faults.SURROGATE
    return f"is not valid JSON ({why[:1].lower()}{why[1:]})"


@cache
def _decoder(model: type[BaseModel]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(_object(model, is_body=True))


@cache
def _object(model: type[BaseModel], *, is_body: bool = False) -> type[msgspec.Struct]:
    fields = [_field(name, info, is_body=is_body) for name, info in model.model_fields.items()]
    return msgspec.defstruct(model.__name__, fields, forbid_unknown_fields=True, kw_only=True, gc=False)


def _field(name: str, info: FieldInfo, *, is_body: bool) -> tuple[str, Any] | tuple[str, Any, Any]:
    kind, origin = _kind(info.annotation), get_origin(info.annotation)
    if origin is list and is_body:
        kind = _array(get_args(kind)[0], _most(info))
    elif origin in (list, dict):
        kind = Annotated[kind, msgspec.Meta(max_length=_most(info))]
    return (name, kind) if info.is_required() else (name, kind, None)


def _most(info: FieldInfo) -> int:
    """Most elements or members of a field."""
    unnamed = MOST_ELEMENTS if get_origin(info.annotation) is list else MOST_MEMBERS
    return next((int(one.max_length) for one in info.metadata if hasattr(one, "max_length")), unnamed)


def _kind(annotation: Any) -> Any:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is list:
        return GenericAlias(list, _kind(inner[0]))
    if origin is dict:
        return GenericAlias(dict, (str, _kind(inner[1])))
    if origin in (Union, UnionType):
        # msgspec knows no union of two objects; items are read one by one anyway.
        return msgspec.Raw if sum(map(_is_model, inner)) > 1 else reduce(or_, map(_kind, inner))
    if _is_model(annotation):
        return _object(annotation)
    return annotation if annotation in _SCALARS else str


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


@cache
def _array(element: Any, most: int) -> type[msgspec.Struct]:
    """Make the type of a list that ends the look at its first element beyond so many; a plain one is read whole."""
    fields: list[tuple[str, Any, Any]] = [(f"e{index}", element, None) for index in range(most)]
    return msgspec.defstruct("List", fields, array_like=True, forbid_unknown_fields=True, gc=False)
