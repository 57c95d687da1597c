"""Headers: the page of documentation is safe to open, and nothing else is a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import httpx2

NEEDED = ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "form-action 'none'", "base-uri 'none'")


async def test_the_page_loads_nothing_from_elsewhere_and_is_not_framed(client: httpx2.AsyncClient) -> None:
    page = await client.get("/docs")
    policy = page.headers["content-security-policy"]

    assert page.headers["content-type"].startswith("text/html")
    assert [part for part in NEEDED if part not in policy] == []
    assert "unsafe-eval" not in policy
    assert "script-src 'self' 'unsafe-inline'" not in policy
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "<script>" not in page.text
    assert "http" not in page.text.replace("http-equiv", "")


@pytest.mark.parametrize("path", ["/docs/docs.js", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css"])
async def test_what_the_page_loads_is_of_the_type_it_says(client: httpx2.AsyncClient, path: str) -> None:
    answer = await client.get(path)

    assert answer.status_code == 200
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "html" not in answer.headers["content-type"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/eval", {"code": "<script>alert(1)</script>"}),
        ("POST", "/", {"code": "<script>alert(1)</script>"}),
        ("POST", "/v1/eval", {"<script>": 1}),
        ("GET", "/<script>alert(1)</script>", None),
        ("GET", "/docs/<script>", None),
        ("GET", "/v1/jobs/<script>", None),
    ],
)
async def test_nothing_that_a_caller_or_program_says_becomes_a_page(
    client: httpx2.AsyncClient, method: str, path: str, body: object
) -> None:
    answer = await client.request(method, path, json=body)

    assert "html" not in answer.headers["content-type"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in answer.headers
    assert "set-cookie" not in answer.headers
