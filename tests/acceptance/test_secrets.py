"""Tokens and passwords stand nowhere but where they are needed: a real cluster, in good and in bad times."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cluster import Cluster

if TYPE_CHECKING:
    from conftest import ValkeyServer

pytestmark = [pytest.mark.jail, pytest.mark.timeout(180)]
PASSWORD = "passw0rd-of-redis"
TOKEN = "t0ken-of-a-caller"
PEEK = """
import os, sys
print(dict(os.environ), open('/proc/self/environ').read(), open('/proc/self/cmdline').read(), sys.orig_argv)
for name in sorted(os.listdir('/proc')):
    if name.isdigit():
        for file in ('environ', 'cmdline'):
            try:
                print(open(f'/proc/{name}/{file}').read())
            except OSError:
                pass
"""


def command_lines() -> str:
    """What anybody on the machine sees of its processes."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().decode(errors="replace"))
        except OSError:
            continue
    return "\n".join(found)


def leaks(text: str) -> list[str]:
    return [secret for secret in (PASSWORD, TOKEN) if secret in text]


async def provoke(cluster: Cluster) -> str:
    """Everything that a caller can make go wrong; what was answered."""
    said = []
    async with cluster.client() as http:
        for token in (f"{TOKEN}x", PASSWORD[:4], "-"):
            answer = await http.post("/v1/eval", json={"code": "1"}, headers={"Authorization": f"Bearer {token}"})
            said.append(answer.text)
        bodies = (b"{", b'{"code": 1}', b'{"code": "1", "environment": "none"}')
        said += [(await http.post("/v1/eval", content=body)).text for body in bodies]
        said += [(await http.get(path)).text for path in ("/v1/environments", "/openapi.json", "/metrics", "/readyz")]
        worker = f"http://127.0.0.1:{cluster.worker.port}"
        said += [(await http.get(worker + path)).text for path in ("/metrics", "/readyz")]
    return "\n".join(said)


async def test_no_secret_is_in_a_log_an_answer_a_command_line_or_a_cell(mortal_valkey: ValkeyServer) -> None:
    mortal_valkey.client.config_set("requirepass", PASSWORD)
    cluster = Cluster(None, EVAL_LOG_LEVEL="debug")
    cluster.token = TOKEN
    cluster._settings |= {"EVAL_REDIS_URL": f"unix://:{PASSWORD}@{mortal_valkey.socket}", "EVAL_TOKEN_AUTH": TOKEN}
    with cluster:
        await cluster.ready()
        cluster.start_coordinator()
        peeked = await cluster.eval(PEEK)
        answers = await provoke(cluster)
        seen = command_lines()
        mortal_valkey.kill()
        answers += str(await cluster.eval("print(1)"))
        await asyncio.sleep(1.5)  # let everybody say that Redis is gone
        wrong = Cluster._start(cluster, "worker", [sys.executable, "-P", "-m", "worker"], EVAL_STARTS="none")
        wrong.process.wait(30)
        logs = "\n".join(service.said() for service in cluster.services)

    assert (peeked.verdict, leaks(peeked.stdout)) == ("ok", [])
    assert leaks(answers) == []
    assert leaks(seen) == []
    assert (leaks(logs), "error" in logs.lower()) == ([], True)
