"""`/v1/jobs`: submit now, ask later, cancel."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from jobs.errors import LaneFull
from jobs.model import JobResult, Reason, Status

if TYPE_CHECKING:
    import httpx2
    from api_fakes import FakeBroker

UNKNOWN = "0" * 32
CODE = {"code": "1"}


async def test_a_job_is_accepted_kept_and_shown_when_done(client: httpx2.AsyncClient, broker: FakeBroker) -> None:
    accepted = await client.post("/v1/jobs", json=CODE)
    job_id = accepted.json()["id"]

    assert (202, f"/v1/jobs/{job_id}") == (accepted.status_code, accepted.headers["location"])
    assert accepted.json() == {
        "id": job_id,
        "state": "queued",
        "links": {"self": f"/v1/jobs/{job_id}", "wait": f"/v1/jobs/{job_id}?wait_s=30"},
    }
    assert (broker.last.keep_result, broker.last.reply_to) == (True, None)

    view = (await client.get(f"/v1/jobs/{job_id}/")).json()

    assert (job_id, "done", "hi\n", None) == (view["id"], view["state"], view["result"]["stdout"], view["error"])


async def test_a_wait_ends_with_the_result_or_after_wait_s(client: httpx2.AsyncClient, broker: FakeBroker) -> None:
    broker.answer = lambda _: None
    job_id = (await client.post("/v1/jobs", json=CODE)).json()["id"]

    assert (await client.get(f"/v1/jobs/{job_id}")).json()["state"] == "queued"
    assert (await client.get(f"/v1/jobs/{job_id}?wait_s=0.1")).json()["state"] == "queued"

    broker.watched.clear()
    waiting = asyncio.create_task(client.get(f"/v1/jobs/{job_id}?wait_s=30"))
    await broker.watched.wait()
    broker.finish(JobResult(job_id=job_id, status=Status.OK))

    assert (await waiting).json()["state"] == "done"
    assert not broker.waiting


async def test_our_failure_is_an_error_beside_no_result(client: httpx2.AsyncClient, broker: FakeBroker) -> None:
    broker.answer = lambda job: JobResult(job_id=job.id, status=Status.INTERNAL, reason=Reason.EXPIRED)
    job_id = (await client.post("/v1/jobs", json=CODE)).json()["id"]
    view = (await client.get(f"/v1/jobs/{job_id}")).json()

    assert (view["result"], view["error"]["status"], view["error"]["safe_to_retry"]) == (None, 503, True)


async def test_the_same_key_is_the_same_job_for_the_same_token_only(
    client: httpx2.AsyncClient, broker: FakeBroker
) -> None:
    key = {"idempotency-key": "run-1"}
    first = await client.post("/v1/jobs", json=CODE, headers=key)
    again = await client.post("/v1/jobs", json=CODE, headers=key)
    another = await client.post("/v1/jobs", json=CODE, headers=key | {"authorization": "Bearer other"})

    assert first.json() == again.json()
    assert (
        first.headers.get("idempotent-replayed"),
        again.headers.get("idempotent-replayed"),
    ) == (None, "true")
    assert first.json()["id"] != another.json()["id"]
    assert len(broker.submitted) == 2


@pytest.mark.parametrize("key", ["", "x" * 256, "a b"])
async def test_a_bad_key_is_named(client: httpx2.AsyncClient, key: str) -> None:
    reply = await client.post("/v1/jobs", json=CODE, headers={"idempotency-key": key})

    assert (reply.status_code, reply.json()["errors"][0]["field"]) == (422, "Idempotency-Key")


async def test_delete_cancels_what_is_not_done(client: httpx2.AsyncClient, broker: FakeBroker) -> None:
    done = (await client.post("/v1/jobs", json=CODE)).json()["id"]
    broker.answer = lambda _: None
    queued = (await client.post("/v1/jobs", json=CODE)).json()["id"]
    replies = [await client.delete(f"/v1/jobs/{job_id}") for job_id in (done, queued)]

    assert [(reply.status_code, reply.json()["state"]) for reply in replies] == [(202, "done"), (202, "queued")]
    assert (queued, True) == (broker.cancelled.get_nowait(), broker.cancelled.empty())


@pytest.mark.parametrize("job_id", [UNKNOWN, "x", "A" * 500])
async def test_an_unknown_job_is_404(client: httpx2.AsyncClient, job_id: str) -> None:
    for method in ("GET", "DELETE"):
        reply = await client.request(method, f"/v1/jobs/{job_id}")

        assert (reply.status_code, reply.json()["type"]) == (404, "urn:evalpool:problem:unknown-job")


@pytest.mark.parametrize("wait_s", ["-1", "61", "nan", "x", ""])
async def test_a_bad_wait_is_named(client: httpx2.AsyncClient, wait_s: str) -> None:
    reply = await client.get(f"/v1/jobs/{UNKNOWN}?wait_s={wait_s}")

    assert (reply.status_code, reply.json()["errors"][0]["field"]) == (422, "wait_s")


async def test_a_full_lane_is_429(client: httpx2.AsyncClient, broker: FakeBroker) -> None:
    broker.fault = LaneFull(lane="single", depth=9, bound=9)
    reply = await client.post("/v1/jobs", json=CODE)

    assert (reply.status_code, reply.headers["retry-after"]) == (429, "1")
