"""The process: drains on SIGTERM, answers who waits, exits 0."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest
from api_fakes import TOKEN, ListeningServer, printed

from api.app import create_app

if TYPE_CHECKING:
    from api_fakes import FakeBroker

    from api.settings import ApiSettings

ROOT = Path(__file__).parents[3]


async def test_a_drain_turns_readiness_off_then_answers_who_waits(broker: FakeBroker, settings: ApiSettings) -> None:
    broker.answer = lambda _: None
    chosen = settings.model_copy(update={"port": 0, "drain_delay_s": 2})
    server = ListeningServer(create_app(chosen, broker, broker), chosen)
    running = asyncio.create_task(server._serve())
    port = await server.listening
    async with httpx2.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", headers={"authorization": f"Bearer {TOKEN}"}
    ) as client:
        waiting = asyncio.create_task(client.post("/v1/eval", json={"code": "1"}))
        ready = await client.get("/readyz")
        server.handle_exit(signal.SIGTERM, None)
        leaving = await client.get("/readyz")
        await asyncio.sleep(3)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        broker.finish(printed(broker.last))
        answered = await waiting
        await running

    assert [reply.status_code for reply in (ready, leaving, answered)] == [200, 503, 200]


async def test_sigterm_ends_the_process_with_0_even_without_redis(tmp_path: Path) -> None:
    """Redis is connected to when it is needed; a drain does not wait for it."""
    environment = os.environ | {"EVAL_PORT": "0", "EVAL_REDIS_URL": f"unix://{tmp_path}/none.sock"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "api", cwd=ROOT, env=environment, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    lines = [await process.stderr.readline() for _ in range(4)]
    while b"running on" not in lines[-1]:
        lines.append(await process.stderr.readline())
    process.send_signal(signal.SIGTERM)
    _, rest = await asyncio.wait_for(process.communicate(), timeout=20)

    assert (process.returncode, b'"event": "api_started"' in lines[0]) == (0, True)
    assert b"Traceback" not in b"".join([*lines, rest])
    assert b'"event": "api_stopped"' in rest
