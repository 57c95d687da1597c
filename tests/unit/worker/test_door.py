"""The worker's own HTTP door."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from prometheus_client import CollectorRegistry

from worker import http

if TYPE_CHECKING:
    from collections.abc import Iterator


class Collector:
    """Remembers who asked."""

    def __init__(self) -> None:
        self.asked_by: set[int] = set()

    def collect(self) -> Iterator[Any]:
        self.asked_by.add(threading.get_ident())
        return iter(())


async def test_a_scrape_sees_the_worker_whole():
    """In a thread of its own it met environments that were being switched (an error), and a load that fell."""
    registry, collector = CollectorRegistry(), Collector()
    registry.register(collector)
    app: Any = http.server(registry, lambda: "", host="127.0.0.1", port=0).config.app
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://worker") as client:
        assert (await client.get("/metrics")).status_code == 200

    assert collector.asked_by == {threading.get_ident()}


@pytest.mark.parametrize(("reason", "status"), [("", 200), ("draining", 503)])
async def test_readiness_is_what_the_worker_says(reason: str, status: int):
    app: Any = http.server(CollectorRegistry(), lambda: reason, host="127.0.0.1", port=0).config.app
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://worker") as client:
        answer = await client.get("/readyz")

    assert (answer.status_code, answer.text) == (status, f"{reason or 'ok'}\n")
