"""`/docs`: Swagger UI from the installed package `fastapi-swagger`; nothing comes from another host."""

from __future__ import annotations

from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import Response

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request

# Swagger UI draws its icons from data: URLs and sets style attributes.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_OURS = "api.static"
_SWAGGER = "fastapi_swagger.resources"
_ASSETS = MappingProxyType(
    {
        "docs.html": (_OURS, "text/html; charset=utf-8"),
        "docs.js": (_OURS, "text/javascript; charset=utf-8"),
        "swagger-ui-bundle.js": (_SWAGGER, "text/javascript; charset=utf-8"),
        "swagger-ui.css": (_SWAGGER, "text/css; charset=utf-8"),
        "favicon-32x32.png": (_SWAGGER, "image/png"),
    }
)


def install(app: FastAPI) -> None:
    """Add the routes."""
    app.add_route("/docs", _page)
    app.add_route("/docs/{name}", _asset)


async def _page(_: Request) -> Response:
    return _served("docs.html")


async def _asset(request: Request) -> Response:
    return _served(request.path_params["name"])


@cache
def _bytes(name: str) -> bytes:
    return resources.files(_ASSETS[name][0]).joinpath(name).read_bytes()


def _served(name: str) -> Response:
    if name not in _ASSETS:
        raise HTTPException(404)
    headers = {
        "content-type": _ASSETS[name][1],
        "content-security-policy": POLICY,
        "referrer-policy": "no-referrer",
        "cache-control": "no-cache" if name == "docs.html" else "max-age=3600",
    }
    return Response(_bytes(name), headers=headers)
