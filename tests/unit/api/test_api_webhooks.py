from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic import SecretStr

from api.batches import webhooks
from api.batches.webhooks import Refused, Webhooks, check, is_public
from api.errors import InvalidRequest
from api.settings import ApiSettings

DESK = cast("Any", SimpleNamespace(owners=SimpleNamespace(webhooks=None)))
WITH_SECRET = ApiSettings(webhook_secret=SecretStr("s"))


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_addresses_of_the_internet_are_public(address):
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "2002:7f00:1::",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "fec0::1",
        "::127.0.0.1",
        "::a9fe:a9fe",
        "5f00::1",
        "192.0.0.8",
    ],
)
def test_all_others_are_not(address):
    assert not is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://a/",
        "http://",
        "http://a:b@c/",
        "http://a:99999/",
        "http://a b/",
        "http://ä/",
        "http://a/\n",
        "http://256.256.256.256/",
        "http://[v1.x]/",
        "h" * 3000,
    ],
)
def test_what_is_no_place_for_a_webhook_is_refused(url):
    with pytest.raises(InvalidRequest):
        check(url, WITH_SECRET)


def test_a_place_for_a_webhook_is_taken_if_it_can_be_signed():
    check("https://example.org:8443/x?y=z", WITH_SECRET)
    with pytest.raises(InvalidRequest, match="1 invalid"):
        check("https://example.org/", ApiSettings())


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]"])
async def test_no_spelling_of_loopback_is_connected_to(host):
    hooks = Webhooks(DESK, WITH_SECRET)

    with pytest.raises(Refused, match=r"private|not known"):
        await hooks._target(f"http://{host}/")


@pytest.mark.parametrize("host", ["a" * 70 + ".example", "a..example"])
async def test_a_name_that_cannot_be_one_is_not_known(host):
    """It once was tried every 30 s until the batch expired, and never said to have failed."""
    with pytest.raises(Refused, match="not known"):
        await Webhooks(DESK, WITH_SECRET)._target(f"https://{host}/")


async def test_the_address_that_was_judged_is_the_one_connected_to(monkeypatch):
    """A name that leads elsewhere at the second look (rebinding) is not looked up a second time."""
    looked_up: list[str] = []

    def getaddrinfo(host: str, port: int, **_: object) -> list[Any]:
        looked_up.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", port)), (2, 1, 6, "", ("8.8.8.8", port))]

    monkeypatch.setattr(webhooks.socket, "getaddrinfo", getaddrinfo)
    target = await Webhooks(DESK, WITH_SECRET)._target("https://example.org/x")

    assert (target.address, target.host, target.port) == ("8.8.8.8", "example.org", 443)
    assert looked_up == ["example.org"]
