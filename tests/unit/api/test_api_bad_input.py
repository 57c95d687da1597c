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
    case("nested deeply", 422, "body", b'{"files": ' * 50_000),
    case("arrays nested deeply", 422, "body", b"[" * 1_000_000),
    case("nested in an unknown field", 422, "body", b'{"code": "1", "x": ' + b"[" * 5000 + b"]" * 5000 + b"}"),
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
