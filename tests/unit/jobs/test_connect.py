from __future__ import annotations

import pytest

from jobs.connect import connect, split_urls
from jobs.keys import Keys
from jobs.model import Lane


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://user:secret@127.0.0.1:6379/2", "redis://127.0.0.1:6379/2"),
        ("rediss://:secret@cache.example:6380", "rediss://cache.example:6380"),
        ("unix:///run/valkey.sock?db=1&password=secret", "unix:///run/valkey.sock"),
    ],
)
async def test_connections_tell_where_they_lead_and_no_password(url, address):
    connections = connect(url)

    assert connections.address == address
    assert "secret" not in repr(connections)
    await connections.aclose()


def test_another_kind_of_url_is_refused():
    with pytest.raises(ValueError, match="scheme"):
        connect("http://127.0.0.1")


@pytest.mark.parametrize("url", ["redis://:a/b@h:6379/0", "redis://h:port/0", "redis://h:99999", "http://h", ""])
def test_a_url_that_leads_nowhere_is_refused_and_not_repeated(url):
    """A password with a slash in it makes its beginning the port."""
    with pytest.raises(ValueError, match=r"must|has a port") as refused:
        split_urls(f"redis://127.0.0.1, {url}")
    assert not url or url not in str(refused.value)
    assert "a/b" not in str(refused.value)


def test_every_key_is_under_one_hash_tag():
    names = Keys("pool")
    every = [names.lane(lane, "e") for lane in Lane]
    every += [name("x") for name in (names.job, names.waiters, names.inbox, names.worker)]
    every += [names.workers, names.environments, names.cancels, names.dead]

    assert all(name.startswith("{pool}:") for name in every)
    assert len(every) == len(set(every))
