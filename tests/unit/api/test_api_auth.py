"""Closed unless a token, or (with none set) a loopback name, opens."""

from __future__ import annotations

import httpx2
import pytest
from api_fakes import FakeBroker
from pydantic import SecretStr, ValidationError

from api.__main__ import main
from api.app import create_app
from api.auth import Gate
from api.errors import Unauthorized
from api.settings import ApiSettings

BODY = {"code": "1"}


@pytest.mark.parametrize("path", ["/v1/eval", "/", "/v1/jobs", "/v1/environments", "/nothing"])
@pytest.mark.parametrize(
    ("authorization", "challenge"),
    [
        ("", 'Bearer realm="evalpool"'),
        ("Bearer wrong", 'Bearer realm="evalpool", error="invalid_token"'),
        ("Bearer ", 'Bearer realm="evalpool", error="invalid_token"'),
        ("Bearer s3cret-toke", 'Bearer realm="evalpool", error="invalid_token"'),
        ("Basic s3cret-token", 'Bearer realm="evalpool", error="invalid_token"'),
    ],
)
async def test_no_or_wrong_token_is_401(
    client: httpx2.AsyncClient, broker: FakeBroker, path: str, authorization: str, challenge: str
) -> None:
    reply = await client.post(path, json=BODY, headers={"authorization": authorization})

    assert (401, challenge) == (reply.status_code, reply.headers["www-authenticate"])
    assert not broker.submitted


@pytest.mark.parametrize("authorization", ["Bearer s3cret-token", "bearer  s3cret-token", "Bearer other"])
async def test_each_of_several_tokens_opens(client: httpx2.AsyncClient, authorization: str) -> None:
    reply = await client.post("/v1/eval", json=BODY, headers={"authorization": authorization})

    assert reply.status_code == 200


def test_every_token_is_compared_even_after_a_match(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []

    def compare(one: bytes, other: bytes) -> bool:
        seen.append(other)
        return one == other

    monkeypatch.setattr("hmac.compare_digest", compare)
    gate = Gate(["one", "two", "three"])
    gate.admit([(b"authorization", b"Bearer one")])
    with pytest.raises(Unauthorized):
        gate.admit([(b"authorization", b"Bearer four")])

    assert len(seen) == 6


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/docs/"])
async def test_probes_and_documents_are_public(client: httpx2.AsyncClient, path: str) -> None:
    assert (await client.get(path, headers={"authorization": ""})).status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost:8000", 200), ("127.0.0.1", 200), ("[::1]:8000", 200), ("evil.example", 403), ("evil:8000", 403)],
)
async def test_without_tokens_only_loopback_names_are_answered(host: str, status: int) -> None:
    """A web page whose name was rebound to 127.0.0.1 still sends its own name."""
    broker = FakeBroker()
    transport = httpx2.ASGITransport(create_app(ApiSettings(), broker, broker))
    async with httpx2.AsyncClient(transport=transport, base_url="http://x") as client:
        assert (await client.post("/v1/eval", json=BODY, headers={"host": host})).status_code == status


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "api.example"])
def test_without_tokens_only_a_loopback_bind_starts(host: str) -> None:
    with pytest.raises(ValidationError, match="EVAL_TOKEN_AUTH"):
        ApiSettings(host=host)
    for loopback in ("127.0.0.1", "::1", "localhost", "127.1.2.3"):
        ApiSettings(host=loopback)
    ApiSettings(host=host, token_auth=SecretStr("x"))


def test_a_refused_start_is_one_clear_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("EVAL_HOST", "0.0.0.0")
    code, (_, told) = main(), capsys.readouterr()
    monkeypatch.setenv("EVAL_HOST", "127.0.0.1")
    monkeypatch.setenv("EVAL_PORT", "none")
    monkeypatch.setenv("EVAL_REDIS_URL", "http://:secret@host")
    code_more, (_, told_more) = main(), capsys.readouterr()

    assert (code, code_more) == (2, 2)
    assert told == "api: EVAL_HOST=0.0.0.0 can be reached from elsewhere: set EVAL_TOKEN_AUTH, or bind 127.0.0.1\n"
    assert "api: EVAL_REDIS_URL: must start with redis://, rediss:// or unix://\n" in told_more
    assert "api: EVAL_PORT: " in told_more
    assert "secret" not in told_more


@pytest.fixture
def _secrets_in_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVAL_TOKEN_AUTH", " tok-a ,, tok-b,")
    monkeypatch.setenv("EVAL_REDIS_URL", "redis://:hidden@host/0")
    monkeypatch.setenv("EVAL_MAX_TIMEOUT_S", "120")


@pytest.mark.usefixtures("_secrets_in_environment")
def test_settings_come_from_the_environment_and_hide_their_secrets() -> None:
    settings = ApiSettings()

    assert (settings.tokens, settings.max_timeout_s) == (("tok-a", "tok-b"), 120.0)
    assert "tok-" not in f"{settings!r}{settings}"
    assert "hidden" not in f"{settings!r}{settings}"
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1
