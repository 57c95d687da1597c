"""One program on many inputs, through real cells: verdicts are the program's own, and none sees what is expected."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import Any

import httpx2
import pytest
from cluster import Cluster, until

pytestmark = [pytest.mark.jail, pytest.mark.timeout(180)]
MIB = 1 << 20
KINDS = """
import os, sys, time
match input():
    case "right": print("  1  ")
    case "wrong": print(2)
    case "leaves": sys.exit(0)
    case "leaves at once": os._exit(0)
    case "crashes": print("  1  ", flush=True); os.kill(os.getpid(), 11)
    case "fails": print("  1  "); sys.exit(3)
    case "hangs": print("  1  ", flush=True); time.sleep(60)
    case "hogs":
        kept = []
        while True: kept.append(bytearray(1 << 20)); time.sleep(0.002)
    case "floods":
        while True: print("1" * 1000)
"""
VERDICTS = {
    "right": ("passed", "ok"),
    "wrong": ("failed", "ok"),
    "leaves": ("failed", "ok"),
    "leaves at once": ("failed", "ok"),
    "crashes": ("failed", "killed"),
    "fails": ("failed", "error"),
    "hangs": ("failed", "timeout"),
    "hogs": ("failed", "memory"),
    "floods": ("failed", "output"),
}


async def judge(cluster: Cluster, **request: Any) -> dict[str, Any]:
    async with cluster.client() as http:
        reply = await http.post("/v1/judge", json=request)
    assert reply.status_code == 200, reply.text
    answer: dict[str, Any] = reply.json()
    return answer


def cases_of(**fields: Any) -> list[dict[str, Any]]:
    return [{"id": kind, "stdin": kind, "expected_stdout": "  1"} | fields for kind in VERDICTS]


async def test_every_way_to_end_has_its_verdict(cluster: Cluster) -> None:
    answer = await judge(cluster, code=KINDS, cases=cases_of(), timeout_s=6, memory_bytes=64 * MIB)

    assert {case["id"]: (case["verdict"], case["status"]) for case in answer["cases"]} == VERDICTS
    assert [answer[name] for name in ("passed", "failed", "errors", "not_run")] == [1, 8, 0, 0]


SNOOP = """
import gc, glob, os, sys
found = [sys.stdin.read(), *sys.argv, *os.environ.values(), *map(repr, gc.get_objects())]
places = "/work/**", "/tmp/**", "/dev/shm/**", "/run/**", "/proc/[0-9]*/cmdline", "/proc/[0-9]*/environ"
for path in [path for place in places for path in glob.glob(place, recursive=True)]:
    if os.path.isfile(path) and os.path.basename(path) != "main.py":
        with open(path, "rb") as file:
            found.append(file.read(1 << 20).decode("latin-1"))
words = [bytes(word).decode() for word in ((122, 51, 98, 114, 97), (116, 105, 103, 101, 114))]  # not for itself to find
print([word for word in words if any(word in text for text in found)])
"""


async def test_no_program_finds_what_is_expected_of_it_and_neither_does_redis(cluster: Cluster) -> None:
    seen = list[bytes]()

    async def watch() -> None:
        while True:
            for key in cluster.redis.scan_iter(match="{evalpool}:*"):
                kind = cluster.redis.type(key)
                dump = cluster.redis.dump(key) if kind != b"none" else None
                seen.append(dump or b"")
            await asyncio.sleep(0.01)

    watching = asyncio.create_task(watch())
    cases = [{"stdin": "tiger", "expected_stdout": "z3bra"}, {"stdin": "", "expected_stdout": "tiger"}]
    answer = await judge(cluster, code=SNOOP, cases=cases)
    watching.cancel()

    # It finds its own input and nothing of its neighbour's.
    assert [case["result"]["stdout"] for case in answer["cases"]] == ["['tiger']\n", "[]\n"]
    assert seen
    assert not any(b"z3bra" in dump for dump in seen)


async def test_cases_share_program_and_files_and_nothing_else(cluster: Cluster) -> None:
    code = """
import os, sys
from helper import twice
print(twice(sys.argv[1]), open("data.txt").read(), sorted(name for name in os.listdir() if name[:1] != "_"))
open("left.txt", "w").write("x"); open("/tmp/left.txt", "x"); open("helper.py", "w").write("spoilt")
"""
    files = {"helper.py": "def twice(text):\n    return text * 2\n", "data.txt": "shared"}
    cases: list[dict[str, Any]] = [{"args": [str(number)]} for number in range(20)]
    cases[7]["files"] = {"data.txt": {"base64": base64.b64encode(b"its own").decode()}, "more.txt": ""}
    answer = await judge(cluster, code=code, files=files, cases=cases)

    printed = [case["result"]["stdout"] for case in answer["cases"]]
    names = ["data.txt", "helper.py", "main.py"]
    wanted = [f"{number}{number} shared {names}\n" for number in range(20)]
    wanted[7] = f"77 its own {[*names, 'more.txt']}\n"
    assert printed == wanted


async def test_a_failure_stops_what_runs_and_what_waits(cluster: Cluster) -> None:
    code = "import sys, time\nif sys.argv[1] != '1':\n    time.sleep(30)\nsys.exit(1)"
    started = time.monotonic()
    cases = [{"args": [str(number)]} for number in range(100)]
    answer = await judge(cluster, code=code, cases=cases, stop_on_first_failure=True)

    assert [answer[name] for name in ("passed", "failed", "errors", "not_run")] == [0, 1, 0, 99]
    assert time.monotonic() - started < 15
    await until(lambda: cluster.worker.busy == 0, "the cancelled cases end")


async def test_a_caller_who_hangs_up_leaves_nothing_running(cluster: Cluster) -> None:
    async with cluster.client() as http:
        with pytest.raises(httpx2.TimeoutException):
            await http.post("/v1/judge", json={"code": "while True: pass", "cases": [{}] * 50}, timeout=1)

    await until(lambda: cluster.worker.busy == 0, "the cases end")
    await until(lambda: not cluster.redis.keys("{evalpool}:shared:*"), "the program is dropped")
    assert (await cluster.eval("print(1)")).stdout == "1\n"


async def test_events_come_as_the_cases_end(cluster: Cluster) -> None:
    code = "import sys, time; time.sleep(float(sys.argv[1])); print(1)"
    cases = [{"id": wait, "args": [wait], "expected_stdout": "1"} for wait in ("2", "0")]
    came: list[tuple[str, Any]] = []
    async with (
        cluster.client() as http,
        http.stream(
            "POST", "/v1/judge", json={"code": code, "cases": cases}, headers={"Accept": "text/event-stream"}
        ) as reply,
    ):
        name = ""
        async for line in reply.aiter_lines():
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                came.append((name, json.loads(value)))

    assert [(name, data["id"]) for name, data in came[:2]] == [("case", "0"), ("case", "2")]
    assert (came[2][0], came[2][1]["passed"], len(came)) == ("result", 2, 3)


async def test_a_program_that_is_gone_from_redis_is_our_failure() -> None:
    """And every case that is sent again passes."""
    with Cluster(None, EVAL_SHARED_BYTES=1) as own:
        await own.ready()
        cases = [{"stdin": str(number), "expected_stdout": str(number)} for number in range(24)]
        code = "import time; time.sleep(0.5); print(input())"
        judging = asyncio.create_task(judge(own, code=code, cases=cases))
        await until(lambda: bool(own.redis.keys("{evalpool}:shared:*")), "the program is stored")
        await asyncio.sleep(0.3)
        own.redis.delete(*own.redis.keys("{evalpool}:shared:*"))
        answer = await judging

        assert (answer["verdict"], answer["failed"]) == (None, 0)
        assert answer["passed"] + answer["errors"] == 24
        slugs = {case["error"]["type"].rpartition(":")[2] for case in answer["cases"] if case["error"]}
        assert slugs == {"shared"}
        assert (await judge(own, code=code, cases=cases[:4]))["verdict"] == "passed"
