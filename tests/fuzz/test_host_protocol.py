"""A zygote or a cell that was taken over may say anything: that costs its jail, and nothing else."""

from __future__ import annotations

import asyncio
import json
import math
import os
import socket
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peers import Zygote, run, zygote

from sandbox import JailFailed, RunSpec
from sandbox.guest import protocol
from sandbox.host import cell as cell_module

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.host.cell import Cell

OURS, NEIGHBOUR = 1, 2


def exit_notice(cell: int = OURS, status: int = 0, cpu_s: float = 0.0, peak_bytes: int = 1) -> bytes:
    """A zygote's word that a program is dead."""
    return protocol.pack_notice(protocol.EXIT, cell, status, cpu_s, peak_bytes)


EXIT = exit_notice()
GONE = protocol.pack_notice(protocol.GONE, OURS)
OOM = protocol.pack_notice(protocol.OOM, OURS)
LIES: dict[str, list[bytes]] = {
    "nothing": [b""],
    "one byte": [b"E"],
    "a notice cut short": [EXIT[:-1]],
    "a notice and a byte": [EXIT + b"\0"],
    "two notices at once": [EXIT + GONE],
    "longer than a packet": [GONE + b" " * protocol.PACKET_BYTES],
    "JSON": [b'{"op": "gone", "cell": 1}'],
    "ready again": [b'{"op": "ready"}'],
    "an unknown event": [b"Z" + EXIT[1:]],
    "an order": [protocol.pack_order(protocol.KILL, OURS)],
    "a cell of another jail": [exit_notice(NEIGHBOUR)],
    "a cell that never was": [protocol.pack_notice(protocol.GONE, 2**64 - 1)],
    "the status of a stopped program": [exit_notice(status=0x137F)],
    "a status that is no status": [exit_notice(status=-1)],
    "a status too large": [exit_notice(status=2**31 - 1)],
    "a time before the start": [exit_notice(cpu_s=-1.0)],
    "a time that is no number": [exit_notice(cpu_s=float("nan"))],
    "an endless time": [exit_notice(cpu_s=float("inf"))],
    "more memory than there is": [exit_notice(peak_bytes=2**64 - 1)],
    "an exit twice": [EXIT, EXIT],
    "out of memory twice": [OOM] * 2,
    "gone before its exit": [GONE],
    "gone twice": [EXIT, GONE, GONE],
    "unborn, though it is warm": [protocol.pack_notice(protocol.UNBORN, OURS, 11)],
    "unborn after its exit": [EXIT, protocol.pack_notice(protocol.UNBORN, OURS, 11)],
    "unborn for no reason": [protocol.pack_notice(protocol.UNBORN, OURS, 0)],
}


async def serves(other: Zygote, cell: Cell) -> None:
    """The neighbour's cell still runs its program to its end."""
    running = asyncio.create_task(cell.run(RunSpec(code="1")))
    await asyncio.sleep(0)
    os.write(other.guests[cell.id].streams[1], b"fine\n")
    other.end(cell.id)
    report = await running

    assert (report.exit_code, report.stdout, other.jail.lost.is_set()) == (0, b"fine\n", False)


async def settled() -> None:
    """Let every callback that is due have its turn."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.parametrize("packets", LIES.values(), ids=LIES)
def test_a_zygote_that_lies_costs_its_jail_and_nothing_else(
    packets: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async with zygote() as liar, zygote() as honest:
            cell, neighbour = await liar.warm_cell(OURS), await honest.warm_cell(NEIGHBOUR)
            running = asyncio.create_task(cell.run(RunSpec(code="1")))
            await asyncio.sleep(0)
            for packet in packets:
                liar.say(packet)
            await asyncio.wait_for(liar.jail.lost.wait(), 20)
            liar.guests[OURS].end()
            await asyncio.wait([running], timeout=20)

            assert isinstance(running.exception(), JailFailed) or packets[:2] == [EXIT, GONE]
            await serves(honest, neighbour)

    run(test())

    told = [record for record in caplog.records if getattr(record, "event", "") == "jail_protocol_error"]
    assert len(told) == (packets != [b""])


notices = st.builds(
    protocol.pack_notice,
    st.sampled_from([protocol.EXIT, protocol.OOM, protocol.GONE, protocol.UNBORN]) | st.binary(min_size=1, max_size=1),
    st.sampled_from([OURS, OURS, NEIGHBOUR]) | st.integers(0, 2**64 - 1),
    st.sampled_from([0, 9, 0x137F]) | st.integers(-(2**31), 2**31 - 1),
    st.floats(0, 1) | st.floats(),
    st.integers(0, 2**64 - 1),
)
packets = st.binary() | notices
values = st.recursive(st.none() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
answers = st.fixed_dictionaries({}, optional={"op": st.just("failed") | values, "why": values})
first_packets = packets | (answers | values).map(lambda answer: json.dumps(answer).encode())


@given(st.lists(packets, max_size=5))
def test_no_packets_reach_beyond_their_jail(said: list[bytes]) -> None:
    async def test() -> None:
        async with zygote() as liar, zygote() as honest:
            cell, neighbour = await liar.warm_cell(OURS), await honest.warm_cell(NEIGHBOUR)
            running = asyncio.create_task(cell.run(RunSpec(code="1")))
            await asyncio.sleep(0)
            for packet in said:
                liar.say(packet)
            await settled()
            assert not running.done() or liar.jail.lost.is_set()
            liar.guests[OURS].end()
            liar.jail.lose()
            await asyncio.wait([running])
            assert isinstance(running.exception(), JailFailed | None)
            await serves(honest, neighbour)

    run(test())


@given(first_packets.filter(lambda packet: b"ready" not in packet))
def test_a_zygote_that_says_anything_but_ready_does_not_boot(said: bytes) -> None:
    async def test() -> None:
        async with zygote() as one:
            again = await Zygote.start(one.jail._folder)
            try:
                assert (await again.boot(said)) is not None
            finally:
                await again.close()

    run(test())


@pytest.mark.parametrize("descriptors", [0, 1, 3])
@pytest.mark.parametrize("said", [b"X", b"WW", b"D", b"F why", b"W" * 100_000], ids=["X", "WW", "D", "F", "many"])
@pytest.mark.parametrize("when", ["before it is warm", "while it waits", "while its program runs"])
def test_a_cell_that_says_what_it_must_not_is_killed(when: str, said: bytes, descriptors: int) -> None:
    async def test() -> None:
        async with zygote() as one:
            cell = one.cell(OURS) if when == "before it is warm" else await one.warm_cell(OURS)
            channel = one.guests[OURS].channel
            running = asyncio.create_task(cell.run(RunSpec(code="1"))) if when.endswith("runs") else None
            await asyncio.sleep(0)
            socket.send_fds(channel, [said[:4000]], [0] * descriptors)
            await settled()
            order = protocol.unpack_order(one.control.recv(protocol.PACKET_BYTES))
            while order[0] == protocol.WATCH:
                order = protocol.unpack_order(one.control.recv(protocol.PACKET_BYTES))
            one.end(OURS, status=9)
            await settled()

            assert order[:2] == (protocol.KILL, OURS)
            if when == "before it is warm":
                assert isinstance(cell.warm.exception(), JailFailed)
            if running is not None:
                with pytest.raises(JailFailed):
                    await running
            assert not one.jail.lost.is_set()

    run(test())


SAID = st.binary(max_size=8) | st.sampled_from([protocol.pack_warm(0), b"D", b"F"])


@given(st.lists(st.tuples(SAID, st.booleans()), max_size=5))
def test_no_bytes_of_a_cell_reach_beyond_it(said: list[tuple[bytes, bool]]) -> None:
    async def test() -> None:
        async with zygote() as one:
            cell, neighbour = one.cell(OURS), await one.warm_cell(NEIGHBOUR)
            running = asyncio.create_task(cell.run(RunSpec(code="1", outputs=("*",))))
            for data, with_descriptor in said:
                socket.send_fds(one.guests[OURS].channel, [data], [0] * with_descriptor)
                await asyncio.sleep(0)
            one.end(OURS)
            await asyncio.wait([running])
            assert isinstance(running.exception(), JailFailed | None)
            await serves(one, neighbour)

    run(test())


@pytest.mark.parametrize("what", [os.devnull, "/proc/self/status"])
def test_a_directory_that_is_none_fails_the_run(what: str) -> None:
    async def test() -> None:
        async with zygote() as one:
            cell = await one.warm_cell(OURS)
            running = asyncio.create_task(cell.run(RunSpec(code="1", outputs=("*",))))
            await asyncio.sleep(0)
            fd = os.open(what, os.O_RDONLY)
            socket.send_fds(one.guests[OURS].channel, [protocol.FOLDERS], [fd])
            os.close(fd)
            await settled()
            one.end(OURS)
            with pytest.raises(JailFailed):
                await running

    run(test())


def held(one: Zygote) -> None:
    """It says that the program is dead, which goes on and keeps its streams open."""
    one.say(EXIT)


def half_held(one: Zygote) -> None:
    """It says that all of the cell is dead, which is as alive as before."""
    one.say(EXIT)
    one.say(GONE)


def silent(one: Zygote) -> None:
    """It says that the program is dead, and never that its descendants are."""
    one.guests[OURS].end()
    one.say(EXIT)


@pytest.mark.parametrize("lie", [held, half_held, silent])
def test_an_end_that_does_not_come_costs_the_jail(
    lie: Callable[[Zygote], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cell_module, "_GONE_S", 0.1)

    async def test() -> None:
        async with zygote() as one:
            cell = await one.warm_cell(OURS)
            running = asyncio.create_task(cell.run(RunSpec(code="1")))
            await asyncio.sleep(0)
            lie(one)
            await asyncio.wait_for(one.jail.lost.wait(), 20)
            await asyncio.wait([running], timeout=20)

            assert isinstance(running.exception(), JailFailed) or lie is silent

    run(test())


@pytest.mark.parametrize(("gone", "for_ever", "lost"), [
    ([NEIGHBOUR], True, False),
    ([NEIGHBOUR], False, True),
    ([], True, True),
])  # fmt: skip
def test_an_end_may_be_slow_while_others_come_to_theirs(gone: list[int], *, for_ever: bool, lost: bool) -> None:
    """On a machine full of busy processes a kill takes long. It once cost all the others of the jail their runs."""

    async def test() -> None:
        async with zygote() as one:
            cell = await one.warm_cell(OURS)
            running = asyncio.create_task(cell.run(RunSpec(code="1")))
            for other in gone:
                await serves(one, await one.warm_cell(other))
            cell._despair(60.0, math.inf if for_ever else 0.0)
            assert one.jail.lost.is_set() == lost

            one.end(OURS)
            await asyncio.wait([running], timeout=20)
            assert (running.exception() is None) != lost

    run(test())


def test_an_end_that_is_told_before_the_streams_end_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine the loop hears of both in one turn, in any order."""
    monkeypatch.setattr(cell_module, "_GONE_S", 0.1)

    async def test() -> None:
        async with zygote() as one:
            cell = await one.warm_cell(OURS)
            running = asyncio.create_task(cell.run(RunSpec(code="1")))
            await asyncio.sleep(0)
            half_held(one)
            await settled()
            one.guests[OURS].end()
            await running
            await asyncio.sleep(0.3)

            assert not one.jail.lost.is_set()

    run(test())


LARGE = RunSpec(code="1", files={"large": bytes(16 << 20)})


def test_a_jail_that_dies_while_it_is_sent_a_job_fails_the_run() -> None:
    async def test() -> None:
        async with zygote() as one:
            running = asyncio.create_task((await one.warm_cell(OURS)).run(LARGE))
            await asyncio.sleep(0.05)
            one.jail.lose()
            with pytest.raises(JailFailed):
                await asyncio.wait_for(running, 20)

    run(test())


def test_a_cell_that_leaves_before_it_has_its_job_has_not_ended_well() -> None:
    """Its exit status 0 says nothing of the program."""

    async def test() -> None:
        async with zygote() as one:
            running = asyncio.create_task((await one.warm_cell(OURS)).run(LARGE))
            await asyncio.sleep(0.05)
            one.end(OURS, status=0)
            with pytest.raises(JailFailed):
                await asyncio.wait_for(running, 20)

    run(test())
