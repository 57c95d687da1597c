"""The load generators measure what they say, against a real server on loopback."""

import asyncio
import json
from contextlib import asynccontextmanager

from benchmarks.load import Endpoint, Program, closed_loop, evenly, open_loop

PROGRAM = Program(code="print(1+1)", stdout="2\n")
ANSWER = {"status": "ok", "stdout": "2\n", "warm": True}
STALL_S = 0.4


def encode_response(answer, code=200):
    body = json.dumps(answer).encode()
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (code, len(body), body)


@asynccontextmanager
async def serving(respond):
    """A keep-alive HTTP server; `respond(number)` gives the bytes for the n-th request, b"" to hang up."""
    seen = []

    async def serve(reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
                seen.append((head, json.loads(body)))
                if not (raw := await respond(len(seen))):
                    return
                writer.write(raw)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        yield Endpoint(host=host, port=port, token="secret"), seen


async def test_closed_loop_sends_exactly_the_requests_asked_for_and_judges_each():
    async def respond(_number):
        return encode_response(ANSWER)

    async with serving(respond) as (endpoint, seen):
        run = await closed_loop(endpoint, PROGRAM, concurrency=4, requests=50)

    head, body = seen[0]
    assert (len(run.samples), len(seen)) == (50, 50)
    assert {(s.code, s.verdict, s.warm) for s in run.samples} == {(200, "ok", True)}
    assert (body, b"Authorization: Bearer secret" in head) == ({"code": "print(1+1)"}, True)


async def test_closed_loop_keeps_its_concurrency_and_ends_after_its_duration():
    running, most = 0, 0

    async def respond(_number):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.005)
        running -= 1
        return encode_response(ANSWER)

    async with serving(respond) as (endpoint, _):
        run = await closed_loop(endpoint, PROGRAM, concurrency=3, duration_s=0.2)

    assert most == 3
    assert 0.2 <= run.elapsed_s < 5


async def test_what_is_not_the_expected_answer_is_never_ok():
    replies = {
        1: encode_response(ANSWER | {"stdout": "3\n"}),
        2: encode_response({"title": "full"}, code=429),
        3: encode_response(ANSWER | {"status": "timeout", "stdout": ""}),
        4: b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnope",
        5: b"",
        6: encode_response(ANSWER),
    }

    async def respond(number):
        return replies[number]

    async with serving(respond) as (endpoint, _):
        run = await closed_loop(endpoint, PROGRAM, concurrency=1, requests=6)

    assert [(s.code, s.verdict) for s in run.samples] == [
        (200, "wrong_output"),
        (429, "http_429"),
        (200, "timeout"),
        (200, "unreadable"),
        (0, "ConnectionResetError"),
        (200, "ok"),
    ]


async def test_open_loop_charges_a_stall_to_everyone_who_came_meanwhile():
    """A server that stands still once for STALL_S delays every arrival of that time, not just one."""
    rate = 100
    free = asyncio.Event()
    free.set()

    async def respond(number):
        if number == 10:
            free.clear()
            asyncio.get_running_loop().call_later(STALL_S, free.set)
        await free.wait()
        return encode_response(ANSWER)

    async with serving(respond) as (endpoint, _):
        offsets_s = evenly(rate=rate, duration_s=1)
        run = await open_loop(endpoint, PROGRAM, offsets_s=offsets_s, connections=4)

    late = [s.latency_s for s in run.samples if s.latency_s > STALL_S / 2]
    assert {s.verdict for s in run.samples} == {"ok"}
    assert max(late) >= STALL_S * 0.95
    # Half of the arrivals during the stall waited more than half of it, though only 4 could be sent.
    assert len(late) >= rate * STALL_S / 2 * 0.9


async def test_open_loop_does_not_slow_its_arrivals_for_a_slow_server():
    async def respond(_number):
        await asyncio.sleep(0.2)
        return encode_response(ANSWER)

    async with serving(respond) as (endpoint, _):
        run = await open_loop(endpoint, PROGRAM, offsets_s=evenly(rate=100, duration_s=0.3), connections=40)

    assert len(run.samples) == 30
    assert run.elapsed_s < 5
