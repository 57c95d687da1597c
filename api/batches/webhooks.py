"""Says to whoever asked for it that a batch ended: signed, tried again, and never into the operator's own network.

The address is looked up once per attempt, judged, and connected to as it was judged: a name that changes its mind
between the two gets nowhere. Redirects are not followed.
"""

from __future__ import annotations

import asyncio
import hmac
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx2
import msgspec
import structlog

from api.batches.views import shown, view_of
from api.errors import FieldError, InvalidRequest
from jobs.batches.model import OPEN, WebhookState

if TYPE_CHECKING:
    from api.batches.desk import Desk
    from api.settings import ApiSettings
    from jobs.batches.model import Batch, Webhook

MAX_URL = 2_048
PERIOD_S = 0.5
TIMEOUT_S = 10.0
"""Of an attempt, from the look-up to the status line."""
FIRST_PAUSE_S, MOST_PAUSE_S = 1.0, 60.0
_PUT_OFF_S = 30.0
"""Longer than an attempt: nobody else makes it meanwhile, and it is made again if we die under it."""
_AT_ONCE = 16
_LOOKUPS = 4
_NAT64 = IPv6Network("64:ff9b::/96")
_HANDED_OUT = IPv6Network("2000::/3")
"""Of IPv6, to networks of the internet. Beyond are a site's own (fec0::) and old ways to write IPv4 (::127.0.0.1)."""
_OF_PROTOCOLS = IPv4Network("192.0.0.0/24")
_PORTS = {"http": 80, "https": 443}

log = structlog.get_logger("api")


class Refused(Exception):  # noqa: N818
    """Not sent, or not taken; the message is for people, and names no address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where to connect, and under which name."""

    address: str
    host: str
    port: int


def check(url: str, settings: ApiSettings) -> None:
    """Raise InvalidRequest unless a batch may have this webhook."""
    if not settings.webhook_secret.get_secret_value():
        raise InvalidRequest([FieldError("webhook", "is not possible here: EVAL_WEBHOOK_SECRET is not set")])
    if fault := _fault(url):
        raise InvalidRequest([FieldError("webhook.url", fault)])


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """What the receiver computes as well: HMAC-SHA256 of timestamp, dot and body."""
    return hmac.digest(secret.encode(), timestamp.encode() + b"." + body, "sha256").hex()


def is_public(address: str) -> bool:
    """Whether an address is one of the internet at large."""
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address):
        # An IPv4 address in one of IPv6 leads to where it would lead by itself.
        embedded = IPv4Address(int(ip) & 0xFFFF_FFFF) if ip in _NAT64 else None
        ip = ip.ipv4_mapped or ip.sixtofour or embedded or ip
    known = ip in _HANDED_OUT if isinstance(ip, IPv6Address) else ip not in _OF_PROTOCOLS
    return known and ip.is_global and not ip.is_multicast


class Webhooks:
    """The loop that delivers. Any number of processes may run it: each delivery is taken by one at a time."""

    def __init__(self, desk: Desk, settings: ApiSettings) -> None:
        self._desk, self._settings = desk, settings
        self._agenda = desk.owners.webhooks
        self._sending: set[asyncio.Task[None]] = set()
        # Of their own: a name that is slow to look up must not hold up whatever else runs in threads.
        self._lookups = ThreadPoolExecutor(_LOOKUPS, "webhook")

    async def keep(self) -> None:
        """Deliver what is due, for ever."""
        while True:
            try:
                room = _AT_ONCE - len(self._sending)
                for batch_id in await self._agenda.due(time.time(), put_off_s=_PUT_OFF_S, most=room):
                    task = asyncio.create_task(self._deliver(batch_id))
                    self._sending.add(task)
                    task.add_done_callback(self._sending.discard)
            except Exception as error:  # noqa: BLE001 (whatever it is, it must not end the loop)
                log.warning("webhooks_failed", error=type(error).__name__)
            await asyncio.sleep(PERIOD_S)

    async def _deliver(self, batch_id: str) -> None:
        try:
            batch = await self._desk.store(batch_id).get(batch_id)
            if batch is None or batch.state in OPEN or batch.webhook is None:
                await self._agenda.done(batch_id)
                return
            told = await self._attempt(batch, batch.webhook)
            await self._desk.store(batch_id).note_webhook(batch_id, told)
            if told.state is WebhookState.PENDING:
                pause_s = min(MOST_PAUSE_S, FIRST_PAUSE_S * 2 ** (told.attempts - 1))
                await self._agenda.put(batch_id, time.time() + pause_s)
            else:
                await self._agenda.done(batch_id)
        except Exception as error:  # noqa: BLE001 (it is due again when it was put off to)
            log.warning("webhook_failed", batch=batch_id, error=type(error).__name__)

    async def _attempt(self, batch: Batch, webhook: Webhook) -> Webhook:
        """Try once; gives how it stands then."""
        attempts = webhook.attempts + 1
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await self._post(batch, webhook.url)
        except (Refused, TimeoutError) as error:
            message = str(error) or "no answer in time"
            gives_up = time.time() - (batch.finished_at or 0) > self._settings.webhook_patience_s
            state = WebhookState.FAILED if gives_up else WebhookState.PENDING
            return replace(webhook, state=state, attempts=attempts, message=message)
        return replace(webhook, state=WebhookState.DELIVERED, attempts=attempts, message="")

    async def _post(self, batch: Batch, url: str) -> None:
        target = await self._target(url)
        body = msgspec.json.encode({"type": f"batch.{batch.state}", "batch": msgspec.Raw(shown(view_of(batch)))})
        timestamp = str(int(time.time()))
        secret = self._settings.webhook_secret.get_secret_value()
        headers = {
            "host": _authority(url),
            "content-type": "application/json",
            "evalpool-timestamp": timestamp,
            "evalpool-signature": f"v1={signature(secret, timestamp, body)}",
        }
        pinned = httpx2.URL(url).copy_with(host=target.address)
        try:
            async with (
                httpx2.AsyncClient(trust_env=False, timeout=TIMEOUT_S) as http,
                http.stream(
                    "POST", pinned, content=body, headers=headers, extensions={"sni_hostname": target.host}
                ) as answer,
            ):
                if not answer.is_success:
                    raise Refused(f"answered {answer.status_code}")
        except httpx2.HTTPError as error:
            raise Refused(f"no answer: {type(error).__name__}") from None

    async def _target(self, url: str) -> Target:
        """Where the name leads now. Raises Refused."""
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        try:
            look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
            found = await asyncio.get_running_loop().run_in_executor(self._lookups, look_up)
        except (OSError, UnicodeError):  # UnicodeError: a part of the name is empty, or longer than names may be
            raise Refused("the name is not known") from None
        addresses = [str(address[0]) for *_, address in found]
        if not self._settings.webhook_allow_private:
            addresses = [address for address in addresses if is_public(address)]
        if not addresses:
            raise Refused("the name leads to a private address")
        return Target(address=addresses[0], host=host, port=port)


def _fault(url: str) -> str | None:
    if len(url) > MAX_URL or not url.isascii() or not url.isprintable() or " " in url:
        return f"must be an ASCII URL of at most {MAX_URL} characters"
    try:
        parts = urlsplit(url)
        _ = parts.port, httpx2.URL(url)
    except (ValueError, httpx2.InvalidURL):
        return "is not a URL"
    if parts.scheme not in _PORTS or not parts.hostname:
        return "must be an http or https URL"
    if parts.username or parts.password:
        return "must not hold credentials: the signature says who we are"
    return None


def _authority(url: str) -> str:
    return urlsplit(url).netloc
