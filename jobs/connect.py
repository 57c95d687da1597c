"""Redis clients for one process, and the edge at which redis-py's errors become ours.

Several clients, since a blocking read holds its connection for seconds and must outlast the command time-out.
redis-py's `from_url` neither retries nor waits for a free connection unless told to, so both are built here.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import OutOfMemoryError, RedisError

from jobs.errors import BrokerFull, BrokerUnavailable
from jobs.model import Lane
from jobs.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any, Final

    Client = Redis

MAX_BLOCK_S: Final = 5.0
"""Longest block that a read may ask for."""

_COMMAND_TIMEOUT_S = 3.0
_READ_TIMEOUT_S = 2 * MAX_BLOCK_S  # a peer that says nothing for longer is gone
_RETRIES = 10
_MAX_COMMANDS = 64
_MAX_READS = 16
_SCHEMES = ("redis://", "rediss://", "unix://")


@dataclass(frozen=True, kw_only=True)
class Connections:
    """The clients of one process. Close them when nothing reads any more."""

    address: str
    """Where they lead, without credentials."""
    commands: Client = field(repr=False)
    reads: Client = field(repr=False)
    """For blocking reads only."""
    lane_reads: Mapping[Lane, Client] = field(repr=False)
    """A single connection each, for a blocking read that is to be ended early: the server knows it by one id."""

    async def aclose(self) -> None:
        """Close every connection."""
        for client in (self.commands, self.reads, *self.lane_reads.values()):
            await client.aclose()


def split_urls(text: str) -> Sequence[str]:
    """The URLs in a comma-separated list (a comma within one is written %2C). Raises ValueError on what none can be."""
    urls = [url.strip() for url in text.split(",")]
    if not all(url.startswith(_SCHEMES) for url in urls):
        raise ValueError("must start with redis://, rediss:// or unix://")
    if not all(map(_has_port, urls)):
        raise ValueError("has a port that is no number: write / ? # @ of a password as %2F %3F %23 %40")
    if len({_address(url) for url in urls}) < len(urls):
        raise ValueError("names the same Redis twice")
    return urls


def connect(url: str) -> Connections:
    """Clients for a redis://, rediss:// or unix:// URL; ValueError on another. Connects on first use."""
    return Connections(
        address=_address(url),
        commands=_client(url, size=_MAX_COMMANDS, timeout_s=_COMMAND_TIMEOUT_S),
        reads=_client(url, size=_MAX_READS, timeout_s=_READ_TIMEOUT_S),
        lane_reads={lane: _client(url, size=1, timeout_s=_READ_TIMEOUT_S) for lane in Lane},
    )


@contextmanager
def redis_errors() -> Iterator[None]:
    """Let BrokerUnavailable out instead of what redis-py raises; BrokerFull if the server is out of memory."""
    try:
        yield
    except OutOfMemoryError as error:
        raise BrokerFull(str(error)) from error
    except RedisError as error:
        raise BrokerUnavailable(f"{type(error).__name__}: {error}") from error


def _client(url: str, *, size: int, timeout_s: float) -> Client:
    options: dict[str, Any] = {
        "max_connections": size,
        "timeout": timeout_s,
        "socket_timeout": timeout_s,
        "socket_connect_timeout": _COMMAND_TIMEOUT_S,
        "health_check_interval": 15,
        "retry": Retry(ExponentialWithJitterBackoff(base=0.01, cap=1), _RETRIES),
        "legacy_responses": False,
    }
    return Redis.from_pool(Pool.from_url(url, **options))


def _has_port(url: str) -> bool:
    """Whether what stands where the port does can be one. What it is otherwise is not told: part of a password."""
    try:
        _ = urlsplit(url).port
    except ValueError:
        return False
    return True


def _address(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
