"""The effective table of system calls, call by call, against the committed one: no change of policy goes unseen.

The compiled filter is run here by a small interpreter of classic BPF, for every number and without arguments; in a cell
every call that is not allowed is made, and answered as the table says.
"""

from __future__ import annotations

import ctypes
import platform
import struct
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sandbox import RunSpec
from sandbox.host.seccomp import compile_policy

if TYPE_CHECKING:
    from sandbox import Sandbox

TABLE = tomllib.loads(Path(__file__).with_name("policy_table.toml").read_text())
ALLOW, EPERM, ENOSYS, DONE, KILL = 0x7FFF0000, 0x00050001, 0x00050026, 0x00050000, 0x80000000
NUMBERS = range(1024)
MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
MACHINE = MACHINES[platform.machine()]
CALL_EACH = """
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
for number in {numbers}:
    libc.syscall(number, *[ctypes.c_long(-1)] * 6)
    print(number, errno.errorcode[ctypes.get_errno()])
"""


def verdict(program: bytes, number: int, *arguments: int, machine: int = MACHINE) -> int:
    """What the filter answers to a call: an action of seccomp(2)."""
    data = struct.pack("<iIQ6Q", number, machine, 0, *arguments, *[0] * (6 - len(arguments)))
    steps = list(struct.iter_unpack("<HBBI", program))
    at = accumulator = 0
    while True:
        code, if_true, if_false, value = steps[at]
        at += 1
        if code == 0x20:  # load a word of the call's data
            (accumulator,) = struct.unpack_from("<I", data, value)
        elif code == 0x54:  # and
            accumulator &= value
        elif code == 0x05:  # jump
            at += value
        elif code == 0x06:  # return
            return value
        else:
            at += if_true if _holds(code, accumulator, value) else if_false


def _holds(code: int, accumulator: int, value: int) -> bool:
    return {
        0x15: accumulator == value,
        0x25: accumulator > value,
        0x35: accumulator >= value,
        0x45: bool(accumulator & value),
    }[code]


def named_calls() -> dict[str, int]:
    """Number of every call of this machine that libseccomp has a name for."""
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_syscall_resolve_num_arch.restype = ctypes.c_char_p
    library.seccomp_syscall_resolve_num_arch.argtypes = [ctypes.c_uint32, ctypes.c_int]
    names = {number: library.seccomp_syscall_resolve_num_arch(MACHINE, number) for number in NUMBERS}
    return {name.decode(): number for number, name in names.items() if name}


def expected(*, trace: bool, counted: bool) -> dict[str, int]:
    """The committed table as answers to calls without arguments; what it does not name is denied."""
    answers = dict.fromkeys(TABLE["allowed"].split(), ALLOW) | dict.fromkeys(TABLE["absent"].split(), ENOSYS)
    answers |= dict.fromkeys(TABLE["done"].split(), DONE)
    if trace:
        answers |= dict.fromkeys(TABLE["allowed_if_traced"].split(), ALLOW)
    if not counted:
        answers |= dict.fromkeys(TABLE["absent_if_uncounted"].split(), ENOSYS)
    return answers


@pytest.mark.parametrize("trace", [False, True])
@pytest.mark.parametrize("counted", [False, True])
def test_every_call_is_answered_as_the_table_says(*, trace: bool, counted: bool) -> None:
    program = compile_policy(trace=trace, counted=counted)
    calls, answers = named_calls(), expected(trace=trace, counted=counted)

    assert {name: verdict(program, number) for name, number in calls.items()} == {
        name: answers.get(name, EPERM) for name in calls
    }
    assert {verdict(program, number) for number in NUMBERS if number not in calls.values()} == {EPERM}


def test_the_table_names_what_is_denied_too() -> None:
    """So that a reader finds each call in it; newer ones than these are denied unseen."""
    lists = [TABLE[key].split() for key in ("allowed", "absent", "done", "denied")]
    every = [name for names in lists for name in names]

    assert sorted(set(every)) == sorted(every)
    assert len(named_calls().keys() & set(every)) > 300


@pytest.mark.parametrize(("name", "arguments", "answer"), [(r[0], r[1], r[2]) for r in TABLE["by_argument"]])
def test_a_call_bound_to_its_arguments_is_answered_by_them(name: str, arguments: list[int], answer: str) -> None:
    program = compile_policy(trace=False, counted=True)

    action = {"allowed": ALLOW, "denied": EPERM, "done": DONE}[answer]
    assert verdict(program, named_calls()[name], *arguments) == action


@pytest.mark.parametrize("machine", {*MACHINES.values(), 0x40000003, 0x40000028} - {MACHINE})
def test_a_call_of_another_architecture_kills(machine: int) -> None:
    program = compile_policy(trace=False, counted=True)

    assert {verdict(program, number, machine=machine) for number in NUMBERS} == {KILL}


@pytest.mark.skipif(platform.machine() != "x86_64", reason="x32 is an ABI of x86-64")
def test_a_call_by_its_x32_number_kills() -> None:
    program = compile_policy(trace=False, counted=True)

    assert {verdict(program, 0x40000000 | number) for number in NUMBERS} == {KILL}


@pytest.mark.jail
async def test_a_cell_answers_each_call_that_is_not_allowed_as_the_table_says(counted: Sandbox) -> None:
    answers = expected(trace=False, counted=counted.hierarchy is not None)
    calls = {number: answers.get(name, EPERM) for name, number in named_calls().items()}
    closed = {number: answer for number, answer in calls.items() if answer in (EPERM, ENOSYS)}
    for name in ("clone", "memfd_create", "mmap", "personality", "socket"):
        closed.pop(named_calls()[name], None)
    report = await counted.run(RunSpec(code=CALL_EACH.format(numbers=sorted(closed))))

    told = dict(line.split() for line in report.stdout.decode().splitlines())
    assert told == {str(n): "EPERM" if answer == EPERM else "ENOSYS" for n, answer in closed.items()}
