"""Items of a batch as jobs: large defaults are stored once, and an item that has something of its own keeps it."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest

from api.batches.body import Body
from api.batches.items import Items
from api.errors import InvalidRequest
from api.settings import ApiSettings
from jobs import wire
from jobs.batches.model import Draft
from jobs.model import SharedPart

if TYPE_CHECKING:
    from jobs.model import Job

LARGE = "x" * 2_000
DATA = bytes(range(256)) * 16
EVERY = {
    "code": f"# {LARGE}",
    "stdin": LARGE,
    "files": {"a": "text", "b": {"base64": b64encode(DATA).decode()}},
    "args": [LARGE],
    "env": {"A": LARGE},
    "outputs": [f"{number}/{'x' * 99}" for number in range(20)],
}


async def taken(items: list[dict[str, Any]], **defaults: Any) -> tuple[list[Job], SharedPart | None]:
    """The jobs of a batch, and what they share."""
    lines = [{"batch": {"defaults": defaults}}, *({"custom_id": str(n), **item} for n, item in enumerate(items))]
    data = "\n".join(map(json.dumps, lines)).encode()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": data}

    headers = [(b"content-type", b"application/jsonl")]
    body = Body({"headers": headers}, receive, bound_bytes=1 << 30)
    draft = Draft(id="b", owner="o", created_at=time.time(), timeout_s=60, result_ttl_s=50, result_bytes=1 << 20)
    found = Items(body, draft, ApiSettings(token_auth="t"))
    return [job async for job in found.jobs()], found.shared


async def test_large_defaults_are_stored_once_however_many_items_take_them() -> None:
    """A default of 4 MB and 200 items were 800 MB in Redis."""
    jobs, part = await taken([{}] * 50, **EVERY)

    assert part == SharedPart(
        code=EVERY["code"],
        stdin=LARGE,
        files={"a": b"text", "b": DATA},
        args=(LARGE,),
        env={"A": LARGE},
        outputs=tuple(EVERY["outputs"]),
    )
    assert {job.shared for job in jobs} == {"b"}
    assert {job.shares for job in jobs} == {("args", "code", "env", "files", "outputs", "stdin")}
    assert max(len(wire.encode(job)) for job in jobs) < 1_000


async def test_what_an_item_has_itself_is_its_own() -> None:
    own = {"code": "print(1)", "stdin": "", "files": {"a": "mine"}}
    [job, plain, judged], _ = await taken(
        [own, {name: EVERY[name] for name in EVERY}, {"cases": [{"stdin": "1"}]}], **EVERY
    )

    assert (job.code, job.stdin, job.files, job.shares) == ("print(1)", "", {"a": b"mine"}, ("args", "env", "outputs"))
    assert (plain.shared, plain.stdin, plain.files["b"]) == (None, LARGE, DATA)
    assert (judged.code, judged.shares) == ("", ("code", "env", "files"))


async def test_small_defaults_are_in_each_item() -> None:
    [job], part = await taken([{}], code="print(1)", files={"a": "1"}, timeout_s=3)

    assert (job.code, job.files, job.timeout_s, job.shared, part) == ("print(1)", {"a": b"1"}, 3, None, None)


@pytest.mark.parametrize(
    ("defaults", "item", "field"),
    [
        ({"files": {"a": {"base64": "-" * 2_000}}}, {"code": "1"}, "defaults.files.a"),
        ({"files": {"a": LARGE, "main.py": "1"}}, {"code": "1"}, "files.main.py"),
        ({"stdin": LARGE}, {}, "code"),
        ({"files": {"a/b": LARGE}}, {"cases": [{"files": {"a": ""}}], "code": "1"}, "cases.0.files.a"),
    ],
)
async def test_items_are_checked_with_what_they_share(
    defaults: dict[str, Any], item: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await taken([item], **defaults)

    assert field in [error.field for error in caught.value.errors]
