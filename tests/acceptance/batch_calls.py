"""What the tests of batches ask a cluster's api."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import httpx2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from cluster import Cluster

JSONL = {"content-type": "application/jsonl"}


def jsonl(items: Iterable[Mapping[str, Any]], **options: Any) -> bytes:
    """Body of a batch; `options` go into its first line."""
    lines = [{"batch": options}] if options else []
    return b"".join(json.dumps(line).encode() + b"\n" for line in [*lines, *items])


def programs(count: int, code: str = "print({})") -> list[dict[str, Any]]:
    return [{"custom_id": f"item-{number}", "code": code.format(number)} for number in range(count)]


async def submit(cluster: Cluster, body: bytes, **headers: str) -> str:
    """Id of the batch that was taken in."""
    async with cluster.client() as http:
        answer = await http.post("/v1/batches", content=body, headers=JSONL | headers)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def view(cluster: Cluster, batch_id: str) -> dict[str, Any]:
    async with cluster.client() as http:
        answer = await http.get(f"/v1/batches/{batch_id}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def until(cluster: Cluster, batch_id: str, *states: str, within_s: float = 30.0) -> dict[str, Any]:
    """The batch as soon as it is in one of these states."""
    deadline = time.monotonic() + within_s
    while True:
        with suppress(httpx2.TransportError, AssertionError):
            now = await view(cluster, batch_id)
            if now["state"] in states:
                return now
        assert time.monotonic() < deadline, await view(cluster, batch_id)
        await asyncio.sleep(0.05)


async def lines(cluster: Cluster, batch_id: str, **params: Any) -> AsyncIterator[dict[str, Any]]:
    """Lines of the results, as one answer has them."""
    async with (
        cluster.client() as http,
        http.stream("GET", f"/v1/batches/{batch_id}/results", params=params) as answer,
    ):
        assert answer.status_code == 200
        async for line in answer.aiter_lines():
            yield json.loads(line)


async def results(cluster: Cluster, batch_id: str, **params: Any) -> list[dict[str, Any]]:
    return [line async for line in lines(cluster, batch_id, **params)]


async def all_results(cluster: Cluster, batch_id: str, within_s: float) -> list[dict[str, Any]]:
    """Follow to the end, whatever breaks on the way: each time behind the last line."""
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(within_s):
        while True:
            with suppress(httpx2.HTTPError, AssertionError):
                async for line in lines(cluster, batch_id, after=len(found)):
                    found.append(line)  # noqa: PERF401 (what came before it broke off counts)
                now = await view(cluster, batch_id)
                if len(found) == now["completed"] == now["total"]:
                    return found
            await asyncio.sleep(0.1)


def each_once(found: list[dict[str, Any]], count: int) -> bool:
    """Whether every item of `programs` has one result, its own."""
    told = sorted((line["index"], line["custom_id"], line.get("result", {}).get("stdout")) for line in found)
    return told == [(number, f"item-{number}", f"{number}\n") for number in range(count)]
