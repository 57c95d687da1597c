"""OpenAPI for routes that read their own body: FastAPI describes the paths, this adds the shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema

from api import problems, schemas
from api.batches import schemas as batch_schemas
from api.judge.schemas import JudgeAnswer, JudgeRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from fastapi import FastAPI
    from pydantic import BaseModel
    from starlette.requests import Request
    from starlette.responses import Response

_DESCRIPTION = """Send a program, get what it printed.
A program that ran is 200 whatever it did: its verdict is `status`.
4xx is your request, 429 our capacity, 5xx our fault; each is a problem document (RFC 9457).
Execution is at least once: after a crash of a worker a program may run twice, its result is recorded once."""

_WORDS = {
    401: "No token, or a wrong one.",
    404: "Unknown, or its result has expired.",
    408: "Nothing of the body came for a minute; safe to send again.",
    409: "The job was cancelled; the upload was lost, or was begun anew.",
    413: "The body, or a field of it, is too large.",
    415: "Not a content type that is taken here.",
    422: "A field cannot be taken; `errors` names it.",
    429: "Too many jobs are waiting; see Retry-After.",
    500: "Our fault; safe to send again.",
    503: "No worker or no queue in time; see Retry-After.",
}
_MODELS: tuple[type[BaseModel], ...] = (
    schemas.EvalRequest,
    schemas.TextEvalRequest,
    schemas.EvalResponse,
    JudgeRequest,
    JudgeAnswer,
    schemas.ProblemDocument,
    schemas.JobAccepted,
    schemas.JobView,
    schemas.Environments,
    schemas.Health,
    batch_schemas.BatchRequest,
    batch_schemas.BatchItem,
    batch_schemas.BatchHeader,
    batch_schemas.BatchAccepted,
    batch_schemas.BatchView,
    batch_schemas.BatchList,
    batch_schemas.ResultLine,
)


class DirectRoute(APIRoute):
    """A route whose endpoint turns the request into the response, with nothing in between (the hot path)."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the endpoint itself."""
        return self.endpoint


def body(model: type[BaseModel]) -> dict[str, Any]:
    """`openapi_extra` of a route that reads this model."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": _ref(model)}}}}


def batch_body(document: type[BaseModel], line: type[BaseModel]) -> dict[str, Any]:
    """`openapi_extra` of a route that reads JSON Lines or one document."""
    content = {"application/jsonl": {"schema": _ref(line)}, "application/json": {"schema": _ref(document)}}
    return {"requestBody": {"required": True, "content": content}}


def json_lines(line: type[BaseModel], *failures: int) -> dict[int | str, dict[str, Any]]:
    """`responses` of a route that answers JSON Lines."""
    told = answers(200, line, *failures)
    told[200]["content"] = {"application/jsonl": told[200]["content"]["application/json"]}
    return told


def events(example: str, *failures: int) -> dict[int | str, dict[str, Any]]:
    """`responses` of a route that answers server-sent events."""
    told = answers(200, example, *failures)
    told[200]["content"] = {"text/event-stream": told[200]["content"]["text/plain"]}
    return told


def answers(status: int, content: type[BaseModel] | str, *failures: int) -> dict[int | str, dict[str, Any]]:
    """`responses` of a route: its success (a model, or an example of its text) and its problems."""
    told: dict[int | str, dict[str, Any]] = {status: {"description": "Success.", "content": _content(content)}}
    for failure in failures:
        told[failure] = {
            "description": _WORDS[failure],
            "content": {problems.MEDIA_TYPE: {"schema": _ref(schemas.ProblemDocument)}},
        }
    return told


def text_answers(example: str, *failures: int) -> dict[int | str, dict[str, Any]]:
    """`responses` of a route that says everything as text, problems too."""
    told = answers(200, example)
    for failure in failures:
        told[failure] = {"description": _WORDS[failure], "content": _content(f"[evalpool: {failure} ...]")}
    return told


def also_events(told: dict[int | str, dict[str, Any]], example: str) -> dict[int | str, dict[str, Any]]:
    """`responses` of a route that streams to those who accept it."""
    told[200]["content"]["text/event-stream"] = {"schema": {"type": "string"}, "example": example}
    return told


def _content(content: type[BaseModel] | str) -> dict[str, Any]:
    if isinstance(content, str):
        return {"text/plain": {"schema": {"type": "string"}, "example": content}}
    return {"application/json": {"schema": _ref(content)}}


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def describe(app: FastAPI) -> dict[str, Any]:
    """Make the whole document, once."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=_DESCRIPTION,
            routes=app.routes,
            tags=app.openapi_tags,
        )
        _, shapes = models_json_schema(
            [(model, "validation") for model in _MODELS], ref_template="#/components/schemas/{model}"
        )
        components = document.setdefault("components", {})
        components["schemas"] = shapes["$defs"]
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
        app.openapi_schema = document
    return app.openapi_schema
