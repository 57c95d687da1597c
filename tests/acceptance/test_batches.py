"""Batches against real processes: every item one result, its own, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import gzip
import hmac
import json
import os
import random
import re
import subprocess
import sys
import time
import zlib
from base64 import b64encode
from typing import TYPE_CHECKING

import batch_calls as calls
import pytest
import pytest_asyncio
from batch_calls import JSONL, each_once, jsonl, programs
from cluster import Cluster, children, until
from rq.command import send_stop_job_command
from rq.serializers import JSONSerializer

from evalctl import bootstrap

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = [pytest.mark.jail, pytest.mark.timeout(180)]


SECRET = "s3cret"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder that batches are spilled to."""
    return tmp_path_factory.mktemp("store")


@pytest_asyncio.fixture(scope="module")
async def cluster(store: Path) -> AsyncIterator[Cluster]:
    """Of the bare interpreter; two processes that coordinate."""
    with Cluster(
        None,
        EVAL_BATCHES_PER_TOKEN=5,
        EVAL_ITEMS_PER_TOKEN=15_000,
        EVAL_WEBHOOK_SECRET=SECRET,
        EVAL_WEBHOOK_ALLOW_PRIVATE="true",
        EVAL_BATCH_STORE=f"file://{store}",
    ) as opened:
        opened.start_coordinator()
        opened.start_coordinator()
        await opened.ready()
        yield opened


async def test_every_item_has_its_own_result_in_either_order(cluster: Cluster) -> None:
    batch = await calls.submit(cluster, jsonl(programs(600)))
    found = await calls.results(cluster, batch)

    assert each_once(found, 600)
    assert [line["cursor"] for line in found] == list(range(1, 601))
    assert [line["index"] for line in await calls.results(cluster, batch, order="input")] == list(range(600))
    assert await calls.results(cluster, batch, after=590) == found[590:]
    assert (
        await calls.results(cluster, batch, after=590, order="input")
        == sorted(found, key=lambda one: one["index"])[590:]
    )
    told = await calls.view(cluster, batch)
    assert (told["state"], told["counts"], told["waiting"], told["submitted"]) == ("done", {"ok": 600}, 0, 0)


async def test_each_verdict_is_that_of_its_program(cluster: Cluster) -> None:
    verdicts = {
        "ok": {"code": "print(1)"},
        "error": {"code": "raise SystemExit(3)"},
        "timeout": {"code": "while True: pass", "timeout_s": 0.3},
        "memory": {"code": "x = bytearray(300 << 20)", "memory_bytes": 64 << 20},
        "output": {"code": "while True: print('x' * 1000)"},
        "killed": {"code": "import os; os.kill(os.getpid(), 11)"},
    }
    items = [{"custom_id": status, **item} for status, item in verdicts.items()]
    batch = await calls.submit(cluster, jsonl(items, defaults={"timeout_s": 5}, metadata={"a": "b"}))
    found = await calls.results(cluster, batch)

    assert {line["custom_id"]: line["result"]["status"] for line in found} == {name: name for name in verdicts}
    told = await calls.view(cluster, batch)
    assert told["counts"] == dict.fromkeys(verdicts, 1)
    assert told["metadata"] == {"a": "b"}


async def test_faults_are_named_by_line_and_nothing_is_queued(cluster: Cluster) -> None:
    bad = [
        *programs(2),
        {"custom_id": "item-1", "code": "print(1)"},
        {"code": "print(1)"},
        {"custom_id": "x", "code": ""},
        {"custom_id": "y", "code": "print(1)", "timeout_s": 1e9},
    ]
    before = await _listed(cluster)
    async with cluster.client() as http:
        answer = await http.post("/v1/batches", content=jsonl(bad) + b"{]\n", headers=JSONL)

        assert answer.status_code == 422
        assert [(one["line"], one["field"]) for one in answer.json()["errors"]] == [
            (3, "custom_id"),
            (4, "custom_id"),
            (5, "code"),
            (6, "timeout_s"),
            (7, "body"),
        ]
    assert await _listed(cluster) == before
    assert not list(cluster.redis.scan_iter("*:batch:*:items"))


async def test_gzip_and_a_document_are_taken_as_well(cluster: Cluster) -> None:
    zipped = await calls.submit(cluster, gzip.compress(jsonl(programs(3))), **{"content-encoding": "gzip"})
    async with cluster.client() as http:
        asked = {"items": [{"custom_id": f"item-{n}", "stdin": str(n)} for n in range(3)]}
        asked |= {"defaults": {"code": "print(input())"}}
        document = (await http.post("/v1/batches", json=asked)).json()["id"]

    assert each_once(await calls.results(cluster, zipped), 3)
    assert each_once(await calls.results(cluster, document), 3)


async def test_large_defaults_are_in_redis_once(cluster: Cluster) -> None:
    """200 items of a few bytes with 3 MB of files by default: not 600 MB, and each item finds the files."""
    data = random.Random(0).randbytes(3 << 20)
    defaults = {"files": {"data.bin": {"base64": b64encode(data).decode()}}, "stdin": "x" * 5_000}
    code = "import sys, zlib; print(zlib.crc32(open('data.bin', 'rb').read()), len(sys.stdin.read()))"
    items = [{"custom_id": f"item-{number}", "code": code} for number in range(200)]
    items[7]["stdin"] = "own"
    before = cluster.redis.info("memory")["used_memory"]
    batch = await calls.submit(cluster, jsonl(items, defaults=defaults))
    grown = cluster.redis.info("memory")["used_memory"] - before
    found = await calls.results(cluster, batch)

    assert grown < 30 << 20
    said = {line["custom_id"]: line["result"]["stdout"] for line in found}
    expected = dict.fromkeys((item["custom_id"] for item in items), f"{zlib.crc32(data)} 5000\n")
    assert said == expected | {"item-7": f"{zlib.crc32(data)} 3\n"}
    assert not list(cluster.redis.scan_iter("*:shared:*"))


async def test_the_same_key_is_the_same_batch(cluster: Cluster) -> None:
    async with cluster.client() as http:
        headers = JSONL | {"idempotency-key": "once"}
        first, again = [await http.post("/v1/batches", content=jsonl(programs(3)), headers=headers) for _ in range(2)]

    assert first.json()["id"] == again.json()["id"]
    assert [answer.headers.get("idempotent-replayed") for answer in (first, again)] == [None, "true"]
    assert each_once(await calls.results(cluster, first.json()["id"]), 3)


@pytest.mark.parametrize("language", ["sh", "python"])
async def test_the_documented_lines_work(cluster: Cluster, language: str, tmp_path: Path) -> None:
    text = (bootstrap.CHECKOUT / "docs" / "batches.md").read_text()
    shown = re.search(rf"```{language}\n(.*?)```", text, re.DOTALL)
    assert shown
    code = shown[1].replace(":8000", f":{cluster.api.port}")
    command = {"sh": ["sh", "-ec", code], "python": [sys.executable, "-c", code]}[language]
    env = os.environ | {"TOKEN": cluster.token}
    ran = await asyncio.to_thread(
        subprocess.run, command, cwd=tmp_path, env=env, check=True, capture_output=True, text=True
    )

    assert ran.stdout.count("task-") == 3


async def test_cancel_stops_what_runs(cluster: Cluster) -> None:
    batch = await calls.submit(cluster, jsonl(programs(200, "import time; time.sleep(30); print({})")))
    await until(lambda: cluster.worker.busy >= 3, "busy slots")
    async with cluster.client() as http:
        began = time.monotonic()
        told = (await http.delete(f"/v1/batches/{batch}")).json()
        await until(lambda: cluster.worker.busy == 0, "free slots")

    assert time.monotonic() - began < 10
    assert told["state"] == "cancelled"
    found = await calls.results(cluster, batch)
    assert {line["result"]["status"] for line in found} == {"cancelled"}
    assert len(found) < 50, "what waited was not run"
    await until(lambda: not _rq(cluster, "info", "-R").count("started 1"), "RQ's job is gone")


async def test_rqs_own_stop_command_cancels(cluster: Cluster) -> None:
    batch = await calls.submit(cluster, jsonl(programs(200, "import time; time.sleep(30); print({})")))
    await until(lambda: cluster.worker.busy >= 3, "busy slots")

    assert "batches" in _rq(cluster, "info")
    send_stop_job_command(cluster.redis, batch, JSONSerializer)

    assert (await calls.until(cluster, batch, "cancelled"))["completed"] < 50
    await until(lambda: cluster.worker.busy == 0, "free slots")


async def test_a_small_batch_does_not_wait_for_large_ones(cluster: Cluster) -> None:
    large = [await calls.submit(cluster, jsonl(programs(3000))) for _ in range(3)]
    began = time.monotonic()
    small = await calls.submit(cluster, jsonl(programs(10)))
    assert each_once(await calls.results(cluster, small), 10)

    took_s = time.monotonic() - began
    states = [(await calls.view(cluster, batch)) for batch in large]
    async with cluster.client() as http:
        for batch in large:
            await http.delete(f"/v1/batches/{batch}")
    assert sum(state["completed"] for state in states) < 9000 / 2, f"it waited {took_s:.1f} s for the others"


async def test_a_coordinator_that_is_told_to_stop_hands_its_batch_back(cluster: Cluster) -> None:
    batch = await calls.submit(cluster, jsonl(programs(300, "import time; time.sleep(0.05); print({})")))
    await until(lambda: any(children(one.pid) for one in cluster.alive("coordinator")), "a turn")
    [busy] = [one for one in cluster.alive("coordinator") if children(one.pid)]
    began = time.monotonic()
    assert await asyncio.to_thread(busy.stop) == 0

    assert time.monotonic() - began < 30
    assert (await calls.view(cluster, batch))["state"] == "running"
    cluster.start_coordinator()
    assert each_once(await calls.results(cluster, batch), 300)


async def test_results_are_resumed_where_they_broke_off(cluster: Cluster) -> None:
    batch = await calls.submit(cluster, jsonl(programs(300, "import time; time.sleep(0.02); print({})")))
    first: list[dict[str, object]] = []
    async for line in calls.lines(cluster, batch):
        first.append(line)
        if len(first) == 20:
            break
    rest = await calls.results(cluster, batch, after=20)

    assert each_once([*first, *rest], 300)


async def test_events_tell_each_completion_and_the_end(cluster: Cluster) -> None:
    batch = await calls.submit(cluster, jsonl(programs(30)))
    async with cluster.client() as http:
        text = (await http.get(f"/v1/batches/{batch}/events")).text
        rest = (await http.get(f"/v1/batches/{batch}/events", headers={"last-event-id": "25"})).text

    assert text.count("event: item") == 30
    assert "event: progress" in text
    assert json.loads(text.rpartition("data: ")[2])["state"] == "done"
    assert rest.count("event: item") == 5


async def test_a_token_has_so_many_batches_open(cluster: Cluster) -> None:
    body = jsonl(programs(2000, "import time; time.sleep(30); print({})"))
    open_ = [await calls.submit(cluster, body) for _ in range(5)]
    async with cluster.client() as http:
        refused = await http.post("/v1/batches", content=body, headers=JSONL)
        await http.delete(f"/v1/batches/{open_.pop()}")
        too_many_items = await http.post("/v1/batches", content=jsonl(programs(8000)), headers=JSONL)
        taken = await http.post("/v1/batches", content=body, headers=JSONL)
        for batch in (*open_, taken.json()["id"]):
            await http.delete(f"/v1/batches/{batch}")

    assert (refused.status_code, refused.headers["retry-after"]) == (429, "10")
    assert (too_many_items.status_code, too_many_items.json()["type"]) == (429, "urn:evalpool:problem:too-many-batches")
    assert taken.status_code == 202


async def test_a_batch_expires_with_all_its_keys(cluster: Cluster, store: Path) -> None:
    short = cluster.start_api(EVAL_RESULT_TTL_S=4)
    await cluster.ready()
    try:
        batch = await calls.submit(cluster, jsonl(programs(5)))
        assert len(await calls.results(cluster, batch)) == 5
        assert list(store.glob(f"{batch}/*"))
        await asyncio.sleep(4.5)
        async with cluster.client() as http:
            gone = await http.get(f"/v1/batches/{batch}/results")

        assert gone.status_code == 404
        await until(lambda: not list(cluster.redis.scan_iter(f"*{batch}*")), "no key is left")
        await until(lambda: not list(store.glob(batch)), "nothing is left in the store")
    finally:
        short.stop()


async def test_a_webhook_is_signed_and_sent_again_until_it_is_taken(cluster: Cluster) -> None:
    heard: list[tuple[dict[str, str], bytes]] = []

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        headers = dict(line.split(": ", 1) for line in head.splitlines()[1:] if line)
        heard.append((headers, await reader.readexactly(int(headers["content-length"]))))
        status = b"500 No" if len(heard) == 1 else b"302 Go" if len(heard) == 2 else b"204 Ok"
        writer.write(b"HTTP/1.1 %b\r\nLocation: /elsewhere\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status)
        await writer.drain()
        writer.close()

    receiver = await asyncio.start_server(receive, "127.0.0.1", 0)
    try:
        port = receiver.sockets[0].getsockname()[1]
        webhook = {"url": f"http://localhost:{port}/hook"}
        batch = await calls.submit(cluster, jsonl(programs(3), webhook=webhook))
        await until(lambda: len(heard) == 3, "three attempts")
        while (told := await calls.view(cluster, batch))["webhook"]["state"] != "delivered":  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    finally:
        receiver.close()

    headers, body = heard[-1]
    signed = hmac.new(SECRET.encode(), headers["evalpool-timestamp"].encode() + b"." + body, "sha256").hexdigest()
    assert headers["evalpool-signature"] == f"v1={signed}"
    assert headers["host"] == f"localhost:{port}"
    assert (json.loads(body)["type"], json.loads(body)["batch"]["id"]) == ("batch.done", batch)
    assert told["webhook"] == webhook | {"state": "delivered", "attempts": 3}


@pytest.mark.parametrize("what", ["results", "events"])
async def test_an_api_that_leaves_sends_its_followers_off_and_they_go_on_elsewhere(cluster: Cluster, what: str) -> None:
    """One follower once held up a drain for as long as it may last, and was cut off then."""
    leaving = cluster.start_api()
    await cluster.ready()
    batch = await calls.submit(cluster, jsonl(programs(300, "import time; time.sleep(0.05); print({})")))
    async with cluster.client() as http, http.stream("GET", f"/v1/batches/{batch}/{what}") as answer:
        pieces = answer.aiter_text()
        told = await anext(pieces)
        stopping = asyncio.create_task(asyncio.to_thread(leaving.stop))
        told += "".join([piece async for piece in pieces])  # raises, if it does not end as it should

    assert await stopping == 0
    assert told.endswith("\n")
    assert "event: end" not in told
    cursors = [int(cursor) for cursor in re.findall(r'"cursor": ?(\d+)', told)]
    assert 0 < len(cursors) < 300
    assert cursors == list(range(1, len(cursors) + 1))
    found = await calls.results(cluster, batch, after=cursors[-1])
    assert [line["cursor"] for line in found] == list(range(len(cursors) + 1, 301))


async def test_an_upload_that_breaks_off_leaves_nothing(cluster: Cluster) -> None:
    async def half() -> AsyncIterator[bytes]:
        yield jsonl(programs(600))
        raise ConnectionError

    before = await _listed(cluster)
    async with cluster.client() as http:
        with pytest.raises(ConnectionError):
            await http.post("/v1/batches", content=half(), headers=JSONL)
    await until(lambda: not list(cluster.redis.scan_iter("*:batch:*:items")), "no items are left")

    assert await _listed(cluster) == before


async def _listed(cluster: Cluster) -> list[str]:
    async with cluster.client() as http:
        return [batch["id"] for batch in (await http.get("/v1/batches", params={"limit": 100})).json()["batches"]]


def _rq(cluster: Cluster, *words: str) -> str:
    command = [sys.executable, "-m", "rq.cli", *words, "-u", cluster.redis_url, "-S", "json"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
