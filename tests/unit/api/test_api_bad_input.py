"""Every bad input of the main issue gets a clear 4xx problem that names the field, and quotes nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import httpx2
    from api_fakes import FakeBroker

MIB = 1 << 20
OK = {"code": "print(1)"}
LONG = "n" * 300


def case(name: str, status: int, field: str, body: Any) -> Any:
    return pytest.param(status, field, body if isinstance(body, bytes) else json.dumps(body).encode(), id=name)


BAD = [
    case("code missing", 422, "code", {}),
    case("code empty", 422, "code", {"code": ""}),
    case("code not a string", 422, "code", {"code": 1}),
    case("code null", 422, "code", {"code": None}),
    case("code with NUL", 422, "code", {"code": "print(1)\0"}),
    case("code with a lone surrogate", 422, "body", b'{"code": "\\ud800"}'),
    case("lone surrogate in stdin", 422, "body", b'{"code": "1", "stdin": "\\udfff"}'),
    case("code of invalid UTF-8", 422, "body", b'{"code": "\xff"}'),
    case("code too large", 413, "code", {"code": "#" * (MIB + 1)}),
    case("code too large in bytes", 413, "code", {"code": "#" + "\u00e9" * (MIB // 2)}),
    case("stdin too large", 413, "stdin", OK | {"stdin": "x" * (8 * MIB + 1)}),
    case("body too large", 413, "body", b" " * (32 * MIB + 1)),
    case("files too large", 413, "files", OK | {"files": {"a": "x" * (16 * MIB + 1)}}),
    case("file name absolute", 422, "files./etc/passwd", OK | {"files": {"/etc/passwd": ""}}),
    case("file name with ..", 422, "files.../up", OK | {"files": {"../up": ""}}),
    case("file name with inner ..", 422, "files.a/../b", OK | {"files": {"a/../b": ""}}),
    case("file name with .", 422, "files../a", OK | {"files": {"./a": ""}}),
    case("file name empty", 422, "files.", OK | {"files": {"": ""}}),
    case("file name with empty part", 422, "files.a//b", OK | {"files": {"a//b": ""}}),
    case("file name of a directory", 422, "files.a/", OK | {"files": {"a/": ""}}),
    case("file name with NUL", 422, "files.a\\x00", OK | {"files": {"a\0": ""}}),
    case("file name of 300 bytes", 422, f"files.{LONG[:64]}...", OK | {"files": {LONG: ""}}),
    case("file path too deep", 422, "files." + "a/" * 32 + "...", OK | {"files": {"a/" * 40 + "b": ""}}),
    case("file names that clash", 422, "files.a/b", OK | {"files": {"a": "", "a/b": ""}}),
    case("file name main.py", 422, "files.main.py", OK | {"files": {"main.py": ""}}),
    case("file below main.py", 422, "files.main.py/x", OK | {"files": {"main.py/x": ""}}),
    case("bad base64", 422, "files.a", OK | {"files": {"a": {"base64": "!"}}}),
    case("base64 without padding", 422, "files.a", OK | {"files": {"a": {"base64": "YQ"}}}),
    case("file content a number", 422, "files.a", OK | {"files": {"a": 1}}),
    case("file content of unknown kind", 422, "files.a", OK | {"files": {"a": {"url": "x"}}}),
    case("1,001 files", 422, "files", OK | {"files": {f"f{i}": "" for i in range(1001)}}),
    case("files a list", 422, "files", OK | {"files": []}),
    case("timeout zero", 422, "timeout_s", OK | {"timeout_s": 0}),
    case("timeout negative", 422, "timeout_s", OK | {"timeout_s": -1}),
    case("timeout NaN", 422, "timeout_s", b'{"code": "1", "timeout_s": NaN}'),
    case("timeout infinite", 422, "timeout_s", b'{"code": "1", "timeout_s": Infinity}'),
    case("timeout beyond floats", 422, "timeout_s", b'{"code": "1", "timeout_s": 1e999}'),
    case("timeout above the cap", 422, "timeout_s", OK | {"timeout_s": 60.1}),
    case("timeout a string", 422, "timeout_s", OK | {"timeout_s": "5"}),
    case("timeout a bool", 422, "timeout_s", OK | {"timeout_s": True}),
    case("memory too small", 422, "memory_bytes", OK | {"memory_bytes": 1}),
    case("memory above the cap", 422, "memory_bytes", OK | {"memory_bytes": 10**30}),
    case("memory a float", 422, "memory_bytes", OK | {"memory_bytes": 1.5}),
    case("unknown field", 422, "cod", OK | {"cod": 1}),
    case("env name empty", 422, "env", OK | {"env": {"": "x"}}),
    case("env name with =", 422, "env", OK | {"env": {"a=b": "x"}}),
    case("env value with NUL", 422, "env", OK | {"env": {"a": "\0"}}),
    case("env value not a string", 422, "env.a", OK | {"env": {"a": 1}}),
    case("arg with NUL", 422, "args.1", OK | {"args": ["a", "\0"]}),
    case("arg too long", 422, "args.0", OK | {"args": ["x" * (128 << 10)]}),
    case("too many args", 422, "args", OK | {"args": ["x"] * 1001}),
    case("args too large together", 422, "args", OK | {"args": ["x" * 100_000] * 11}),
    case("output glob that climbs", 422, "outputs.0", OK | {"outputs": ["../*"]}),
    case("values without echo", 422, "display", OK | {"display": True}),
    case("too many outputs", 422, "outputs", OK | {"outputs": ["*"] * 101}),
    case("environment not a name", 422, "environment", OK | {"environment": "../x"}),
    case("strace not a bool", 422, "strace", OK | {"strace": 1}),
    case("no body", 422, "body", b""),
    case("not JSON", 422, "body", b"print(1)"),
    case("not an object", 422, "body", b"[]"),
    case("cut short", 422, "body", b'{"code": "pri'),
    case("nested deeply", 422, "files", b'{"files": ' * 50_000),
    case("arrays nested deeply", 422, "body", b"[" * 1_000_000),
    case("nested in an unknown field", 422, "x", b'{"code": "1", "x": ' + b"[" * 5000 + b"]" * 5000 + b"}"),
]


@pytest.mark.parametrize("path", ["/v1/eval", "/v1/jobs"])
@pytest.mark.parametrize(("status", "field", "body"), BAD)
async def test_bad_input_is_a_problem_that_names_the_field(
    client: httpx2.AsyncClient, broker: FakeBroker, path: str, *, status: int, field: str, body: bytes
) -> None:
    reply = await client.post(path, content=body, headers={"content-type": "application/json"})
    problem = reply.json()

    assert (status, "application/problem+json") == (reply.status_code, reply.headers["content-type"])
    assert field in [error["field"] for error in problem["errors"]]
    assert (status, False) == (problem["status"], problem["safe_to_retry"])
    assert not broker.submitted
    assert len(reply.content) < 4096


GOOD = [
    pytest.param({"code": "#" * MIB}, id="1 MiB of code"),
    pytest.param(OK | {"stdin": "x" * (8 * MIB)}, id="8 MiB of stdin"),
    pytest.param(OK | {"stdin": "a\0b"}, id="NUL in stdin"),
    pytest.param(OK | {"files": {f"d/{i}": "x" for i in range(1000)}}, id="1,000 files"),
    pytest.param(OK | {"files": {"a/b": "", "a/c": "", "ab": ""}}, id="files that share a directory"),
    pytest.param(OK | {"files": {"\u00e9" * 127: "\0"}}, id="a name of 254 bytes"),
    pytest.param(OK | {"timeout_s": 60, "memory_bytes": 1 << 30}, id="limits at their caps"),
    pytest.param(OK | {"env": {"A": "b=c"}, "args": ["", "--x"]}, id="arguments"),
    pytest.param(OK | {"outputs": ["out/**/*.png"]}, id="globs"),
    pytest.param(OK | {"figures": True, "interpreter_mode": True, "display": True}, id="figures and values"),
]


@pytest.mark.parametrize("body", GOOD)
async def test_input_at_the_bounds_is_taken(client: httpx2.AsyncClient, body: dict[str, Any]) -> None:
    assert (await client.post("/v1/eval", json=body)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/json", "content-encoding": "gzip"},
        {},
    ],
)
async def test_other_content_types_are_415(client: httpx2.AsyncClient, headers: dict[str, str]) -> None:
    reply = await client.post("/v1/eval", content=b'{"code": "1"}', headers=headers)

    assert (reply.status_code, reply.json()["type"]) == (415, "urn:evalpool:problem:wrong-media-type")


async def test_a_charset_is_taken(client: httpx2.AsyncClient) -> None:
    headers = {"content-type": "application/json; charset=utf-8"}

    assert (await client.post("/v1/eval", content=b'{"code": "1"}', headers=headers)).status_code == 200


async def test_wrong_method_is_405_and_says_which_would_do(client: httpx2.AsyncClient) -> None:
    reply = await client.get("/v1/eval")

    assert (reply.status_code, reply.headers["allow"]) == (405, "POST")
    assert reply.json()["type"] == "urn:evalpool:problem:http-405"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PATCH", "/v1/batches", "GET, HEAD, POST"),
        ("PUT", "/v1/jobs/5f0c", "DELETE, GET, HEAD"),
        ("HEAD", "/v1/eval", "POST"),
        ("POST", "/healthz", "GET, HEAD"),
        ("POST", "/docs", "GET, HEAD"),
    ],
)
async def test_allow_names_every_method_of_the_path(
    client: httpx2.AsyncClient, method: str, path: str, allowed: str
) -> None:
    """Each route once named its own only: of `/v1/batches` POST, and not GET."""
    reply = await client.request(method, path)

    assert (405, allowed) == (reply.status_code, reply.headers["allow"])


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("jobs/5f0c?wait_s=61", "wait_s: must be at most 60"),
        ("jobs/5f0c?wait_s=-1", "wait_s: must be at least 0"),
        ("jobs/5f0c?wait_s=soon", "wait_s: must be a number"),
        ("batches?limit=0", "limit: must be at least 1"),
        ("batches?limit=101", "limit: must be at most 100"),
        ("batches?limit=few", "limit: must be an integer"),
        (f"batches?before={LONG}", "before: must be at most 40 characters"),
        ("batches/5f0c/results?after=-1", "after: must be at least 0"),
        (f"batches/5f0c/results?after={1 << 32}", f"after: must be at most {1 << 31}"),
        ("batches/5f0c/results?order=foo", "order: must be 'completion' or 'input'"),
        ("batches/5f0c/results?follow=perhaps", "follow: must be true or false"),
    ],
)
async def test_a_bad_parameter_is_told_with_its_bound(client: httpx2.AsyncClient, query: str, message: str) -> None:
    reply = await client.get(f"/v1/{query}")

    assert (422, message) == (reply.status_code, reply.json()["detail"])


@pytest.mark.parametrize(
    ("fields", "detail"),
    [
        ({"compare": "Exact"}, "compare: must be 'exact', 'trimmed', 'tokens' or 'float'"),
        ({"tolerance": {"absolute": -1}}, "tolerance.absolute: must be at least 0"),
        ({"tolerance": {"relative": "a"}}, "tolerance.relative: must be a number"),
        ({"tolerance": {"Tolerance": 1}}, "tolerance.Tolerance: is not a field of this request"),
        ({"tolerance": "a"}, 'tolerance: must be a number or {"absolute": number, "relative": number}'),
        ({"env": {"Tolerance": 1}}, "env.Tolerance: must be a string"),
        ({"cases": [{"files": {"a": 1}}]}, 'cases.0.files.a: must be text or {"base64": text}'),
    ],
)
async def test_a_bad_judge_request_is_told_in_words_of_the_api(
    client: httpx2.AsyncClient, fields: dict[str, Any], detail: str
) -> None:
    """They once had names of our classes in them, or said that something is not valid."""
    reply = await client.post("/v1/judge", json=OK | {"cases": [{}]} | fields)

    assert (422, detail) == (reply.status_code, reply.json()["detail"])


@pytest.mark.parametrize("half", ["\\ud83d", "\\ud83dxx", "\\ud83d\\n", "\\ud83d\\u0041", "\\ude00"])
async def test_a_lone_surrogate_is_called_that(client: httpx2.AsyncClient, half: str) -> None:
    """As Python's json.dumps writes a model's output that was cut within a character."""
    body = b'{"code": "%b"}' % half.encode()
    reply = await client.post("/v1/eval", content=body, headers={"content-type": "application/json"})

    assert reply.json()["detail"].startswith("body: must be valid Unicode text; a lone surrogate ")
    assert "(line 1 column " in reply.json()["detail"]


async def test_a_byte_order_mark_is_no_part_of_the_body(client: httpx2.AsyncClient) -> None:
    for path in ("/v1/eval", "/", "/v1/jobs"):
        body = b'\xef\xbb\xbf{"code": "1"}'
        reply = await client.post(path, content=body, headers={"content-type": "application/json"})

        assert reply.is_success


async def test_unknown_path_is_a_404_problem(client: httpx2.AsyncClient) -> None:
    reply = await client.get("/v2/eval")

    assert (reply.status_code, reply.headers["content-type"]) == (404, "application/problem+json")


@pytest.mark.parametrize(
    "body",
    [
        b'{"code": ["SECRET"]}',
        b'{"code": "SECRET", "timeout_s": "SECRET"}',
        b'"SECRET',
        b'{"code": "SECRET\\ud800"}',
    ],
)
async def test_no_problem_quotes_the_program(client: httpx2.AsyncClient, body: bytes) -> None:
    reply = await client.post("/v1/eval", content=body, headers={"content-type": "application/json"})

    assert (reply.status_code, "SECRET" in reply.text) == (422, False)
