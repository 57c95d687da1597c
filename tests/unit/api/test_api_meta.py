"""Alive, ready, metrics, environments, the documents."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families
from starlette.responses import StreamingResponse

from api.app import create_app
from api.heads import Heads
from jobs.errors import BrokerUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from api_fakes import FakeBroker
    from starlette.types import Message, Receive, Scope, Send

    from api.settings import ApiSettings


async def test_healthz_needs_nobody_else(client: httpx2.AsyncClient, broker: FakeBroker) -> None:
    broker.fault = BrokerUnavailable()

    assert (await client.get("/healthz")).json()["status"] == "ok"


@pytest.mark.parametrize(
    "path",
    ["/healthz", "/readyz", "/metrics", "/docs", "/openapi.json", "/v1/environments", "/v1/jobs/5f0c", "/nothing"],
)
async def test_head_is_get_without_a_body(client: httpx2.AsyncClient, path: str) -> None:
    """As load balancers and monitors ask; it once was 405 at most routes."""
    head, got = await client.head(path), await client.get(path)
    for reply in (head, got):
        if path == "/metrics":
            del reply.headers["content-length"]

    assert (got.status_code, got.headers, b"") == (head.status_code, head.headers, head.content)


async def test_head_keeps_the_connection_and_its_place_in_the_metrics(
    served: Callable[[], AbstractAsyncContextManager[int]],
) -> None:
    counted = ("evalpool_request_seconds_count", {"route": "/healthz", "status": "2xx"})
    async with served() as port, httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        before = REGISTRY.get_sample_value(*counted) or 0
        answers = [(await client.head("/healthz")).headers["content-length"] for _ in range(3)]

    assert (["32"] * 3, before + 3) == (answers, REGISTRY.get_sample_value(*counted))


async def test_head_of_a_stream_ends_with_its_head() -> None:
    """A stream goes on for as long as its batch runs."""

    async def stream() -> AsyncIterator[bytes]:
        while True:
            yield b"more"

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["method"] == "GET"
        await StreamingResponse(stream(), 202)(scope, receive, send)

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return await asyncio.get_running_loop().create_future()

    scope = {"type": "http", "method": "HEAD", "path": "/"}
    await Heads(app)(scope, receive, send)

    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert (sent[0]["status"], scope["method"]) == (202, "HEAD")


async def test_readyz_needs_redis_a_worker_and_a_process_that_stays(broker: FakeBroker, settings: ApiSettings) -> None:
    app = create_app(settings, broker, broker)
    told: list[tuple[int, str]] = []
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://api") as client:

        async def ask() -> None:
            reply = await client.get("/readyz")
            told.append((reply.status_code, reply.json().get("detail", "")))

        await ask()
        broker.fault = BrokerUnavailable()
        await ask()
        broker.fault, broker.announced = None, []
        await ask()
        app.state.draining = True
        await ask()

    assert told == [
        (200, ""),
        (503, "Redis did not answer in time. It is safe to send the request again."),
        (503, "No worker has announced itself in the last seconds."),
        (503, "This process is shutting down."),
    ]


async def test_a_missing_shard_is_told_and_keeps_nobody_out(client: httpx2.AsyncClient, broker: FakeBroker) -> None:
    assert (await client.get("/readyz")).json() == {"status": "ready", "unreachable": []}
    broker.away = ["Redis 2 of 3"]

    reply = await client.get("/readyz")

    assert (reply.status_code, reply.json()) == (200, {"status": "degraded", "unreachable": ["Redis 2 of 3"]})
    assert (await samples(client))["evalpool_shards_unreachable", ()] == 1


async def test_the_lifespan_opens_and_closes_the_inbox(broker: FakeBroker, settings: ApiSettings) -> None:
    app = create_app(settings, broker, broker)
    async with app.router.lifespan_context(app):
        assert broker.opened == 1

    assert broker.opened == 0


async def test_environments_are_summed_over_live_workers(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/v1/environments")).json() == {
        "environments": [
            {"name": "default", "workers": 2, "slots": 6, "served_by": ["w1", "w2"], "kind": "python"}
            | {"filename": "main.py", "command": [], "digests": []},
            {"name": "science", "workers": 1, "slots": 2, "served_by": ["w2"], "kind": "python"}
            | {"filename": "a.py", "command": ["python3", "a.py"], "digests": ["sha256:1"]},
        ]
    }


async def samples(client: httpx2.AsyncClient) -> dict[tuple[str, tuple[str, ...]], float]:
    reply = await client.get("/metrics")

    assert (reply.status_code, reply.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    return {
        (sample.name, tuple(sorted(sample.labels.values()))): sample.value
        for family in text_string_to_metric_families(reply.text)
        for sample in family.samples
    }


async def test_requests_are_measured_by_route_and_class_with_an_edge_at_the_target(
    client: httpx2.AsyncClient,
) -> None:
    before = await samples(client)
    await client.post("/v1/eval", json={"code": "1"})
    await client.post("/v1/eval", json={})
    await client.get("/v1/jobs/nope")
    await client.get("/some/thing")
    after = await samples(client)

    def grown(*labels: str) -> float:
        key = ("evalpool_request_seconds_count", tuple(sorted(labels)))
        return after[key] - before.get(key, 0)

    assert [
        grown("/v1/eval", "2xx"),
        grown("/v1/eval", "4xx"),
        grown("/v1/jobs/{job_id}", "4xx"),
        grown("other", "4xx"),
    ] == [1, 1, 1, 1]
    assert ("evalpool_request_seconds_bucket", tuple(sorted(("/v1/eval", "0.1", "2xx")))) in after
    assert after["evalpool_requests_in_flight", ()] == 1
    assert not [name for name, _ in after if name.endswith("_created")]


async def test_what_the_service_adds_to_a_program_is_measured_for_single_evals_that_ran(
    client: httpx2.AsyncClient,
) -> None:
    before = await samples(client)
    await client.post("/v1/eval", json={"code": "1"})
    await client.post("/", json={"code": "1"})
    await client.post("/v1/eval", json={})
    after = await samples(client)
    count, total = "evalpool_overhead_seconds_count", "evalpool_overhead_seconds_sum"

    assert after[count, ()] - before[count, ()] == 2
    assert after[total, ()] - before[total, ()] >= 0
    assert ("evalpool_overhead_seconds_bucket", ("0.1",)) in after


async def test_problems_are_counted_by_kind(client: httpx2.AsyncClient) -> None:
    before = await samples(client)
    await client.post("/v1/eval", json={})
    await client.get("/v1/jobs/nope")
    after = await samples(client)

    for slug in ("invalid-request", "unknown-job"):
        key = ("evalpool_problems_total", (slug,))
        assert after[key] - before.get(key, 0) == 1, slug


async def test_lanes_are_asked_for_at_the_scrape_and_redis_may_be_away(
    client: httpx2.AsyncClient, broker: FakeBroker
) -> None:
    up = await samples(client)
    broker.fault = BrokerUnavailable()
    down = await samples(client)

    assert [
        up["evalpool_lane_depth", ("single",)],
        up["evalpool_lane_running", ("batch",)],
        up["evalpool_lane_oldest_seconds", ("single",)],
        up["evalpool_workers", ()],
        up["evalpool_broker_up", ()],
        up["evalpool_dead_letter_jobs", ()],
    ] == [7, 2, 0.25, 2, 1, 3]
    assert up["evalpool_redis_round_trip_seconds_count", ()] >= 1
    assert down["evalpool_broker_up", ()] == 0


async def test_a_scrape_does_not_wait_for_a_redis_that_hangs_and_asks_it_once(
    client: httpx2.AsyncClient, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scraper gives up after some seconds, and would take the whole process for dead."""
    asked, over = [], asyncio.Event()

    async def unreachable() -> list[str]:
        asked.append(1)
        await over.wait()
        return []

    monkeypatch.setattr("api.routes.meta._PATIENCE_S", 0.01)
    monkeypatch.setattr(broker, "unreachable", unreachable)
    hung = [await samples(client), await samples(client)]
    over.set()
    monkeypatch.setattr("api.routes.meta._PATIENCE_S", 10)

    assert [one["evalpool_broker_up", ()] for one in hung] == [0, 0]
    assert len(asked) == 1
    assert (await samples(client))["evalpool_broker_up", ()] == 1


async def test_every_answer_forbids_sniffing(client: httpx2.AsyncClient) -> None:
    for path in ("/healthz", "/nothing", "/docs", "/v1/eval", "/v1/environments"):
        assert (await client.get(path)).headers["x-content-type-options"] == "nosniff"


def _resolved(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").removeprefix("#/components/schemas/")
    return document["components"]["schemas"][name] if name else schema


async def test_openapi_has_an_example_for_each_body_and_answer(client: httpx2.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    operations = [
        (f"{method} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]

    assert {name for name, _ in operations} == {
        "post /v1/eval",
        "post /",
        "post /v1/jobs",
        "get /v1/jobs/{job_id}",
        "delete /v1/jobs/{job_id}",
        "post /v1/batches",
        "get /v1/batches",
        "get /v1/batches/{batch_id}",
        "delete /v1/batches/{batch_id}",
        "get /v1/batches/{batch_id}/results",
        "get /v1/batches/{batch_id}/events",
        "get /healthz",
        "post /v1/judge",
        "get /readyz",
        "get /metrics",
        "get /v1/environments",
    }
    for name, operation in operations:
        told = [*operation["responses"].values(), *filter(None, [operation.get("requestBody")])]
        contents = [content for one in told for content in one["content"].values()]

        assert name.startswith("post") == ("requestBody" in operation), name
        assert all("example" in c or _resolved(c["schema"], document).get("examples") for c in contents), name


async def test_openapi_has_no_dangling_reference(client: httpx2.AsyncClient) -> None:
    text = (await client.get("/openapi.json")).text
    schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]

    assert {ref.rsplit("/")[-1] for ref in re.findall(r'"\$ref":"([^"]+)"', text)} <= set(schemas)


async def test_docs_ask_no_other_host(client: httpx2.AsyncClient) -> None:
    page = await client.get("/docs")
    script = await client.get("/docs/docs.js")
    policy = page.headers["content-security-policy"]

    assert "//" not in page.text.replace("<!doctype html>", "")
    assert not re.search(r"https?://", script.text)
    assert "http" not in policy
    assert policy.startswith("default-src 'none'")


async def test_docs_serve_every_asset_they_name(client: httpx2.AsyncClient) -> None:
    page = (await client.get("/docs")).text
    replies = [await client.get(path) for path in re.findall(r'(?:src|href)="(/docs/[^"]+)"', page)]

    assert [reply.status_code for reply in replies] == [200] * 4


async def test_docs_serve_nothing_else(client: httpx2.AsyncClient) -> None:
    for name in ("__init__.py", "..%2Fapp.py", "nope"):
        assert (await client.get(f"/docs/{name}")).status_code == 404
