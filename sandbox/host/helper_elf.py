"""A whole static executable in a kilobyte: the helper beside a command that was started before its program was there.

It forks, so that it is no child of the command, and then does system calls by a list: first the one in the file, whose
last call hears from the host, and then what came (`errand`). It ends at the first call that fails. A Python in its
place costs two forks of the zygote before the job, and after it a millisecond's tearing down of an interpreter, for
which the program has to wait: it must not find the helper there.
"""

from __future__ import annotations

import platform
import struct

from sandbox.guest import protocol
from sandbox.host.calls import RECORD_BYTES, leap, record
from sandbox.host.elf import CODE, executable

CHANNEL_FD, JOB_FD, READY_FD = protocol.HELPER_FDS
"""What it is started with: the cell's channel, and the two pipes of the prelude."""
COMMAND_PID, HELPER_PID = 2, 4
"""In a cell's pid namespace: 1 is its init, 2 what was the cell, 3 who forked the helper."""
FIRST, REST = 0x1000_0000, 0x2000_0000
"""Addresses of the two parts of what the host sends: some records of fixed length, and what they have it receive."""
FIRST_BYTES = 3 * RECORD_BYTES
_ROOM_BYTES = 1 << 16
_SAID = FIRST + _ROOM_BYTES // 2
_CPU_CLOCK = (~COMMAND_PID << 3) | 2
_PAUSE = struct.pack("<2Q", 0, 500_000)
"""The clock of another process lacks what that has run since it last began to: let it come to its wait (0.5 ms)."""
MSG_WAITALL = 0x100
PROT_READ_WRITE, MAP_PRIVATE_FIXED_ANONYMOUS = 0x3, 0x32

# fork(); who is the parent, or could not, leaves. Then record by record, from `records`, which stands behind the code.
_X86_64 = bytes.fromhex(
    "b839000000"  # mov  eax, 57            fork
    "0f05"  # syscall
    "85c0"  # test eax, eax
    "753b"  # jnz  leave
    "488d1d3d000000"  # lea  rbx, [rip+61]  records
    # next:
    "488b03"  # mov  rax, [rbx]
    "488b7b08"  # mov  rdi, [rbx+8]
    "4883f8ff"  # cmp  rax, -1              a leap
    "7505"  # jne  call
    "4889fb"  # mov  rbx, rdi
    "ebee"  # jmp  next
    # call:
    "488b7310"  # mov  rsi, [rbx+16]
    "488b5318"  # mov  rdx, [rbx+24]
    "4c8b5320"  # mov  r10, [rbx+32]
    "4c8b4328"  # mov  r8, [rbx+40]
    "4c8b4b30"  # mov  r9, [rbx+48]
    "0f05"  # syscall
    "483b4338"  # cmp  rax, [rbx+56]        least
    "7c06"  # jl   leave
    "4883c340"  # add  rbx, 64
    "ebcc"  # jmp  next
    # leave:
    "b8e7000000"  # mov  eax, 231           exit_group
    "31ff"  # xor  edi, edi
    "0f05"  # syscall
)
# aarch64 has no fork(2): clone(SIGCHLD, 0, 0, 0, 0).
_AARCH64 = struct.pack(
    "<28I",
    0xD2800220,  # mov  x0, #17             SIGCHLD
    0xD2800001,  # mov  x1, #0
    0xD2800002,  # mov  x2, #0
    0xD2800003,  # mov  x3, #0
    0xD2800004,  # mov  x4, #0
    0xD2801B88,  # mov  x8, #220            clone
    0xD4000001,  # svc  #0
    0xB5000240,  # cbnz x0, leave
    0x10000293,  # adr  x19, records
    # next:
    0xF9400268,  # ldr  x8, [x19]
    0xF9400660,  # ldr  x0, [x19, #8]
    0xB100051F,  # cmn  x8, #1              a leap
    0x54000061,  # b.ne call
    0xAA0003F3,  # mov  x19, x0
    0x17FFFFFB,  # b    next
    # call:
    0xA9410A61,  # ldp  x1, x2, [x19, #16]
    0xA9421263,  # ldp  x3, x4, [x19, #32]
    0xF9401A65,  # ldr  x5, [x19, #48]
    0xD4000001,  # svc  #0
    0xF9401E69,  # ldr  x9, [x19, #56]      least
    0xEB09001F,  # cmp  x0, x9
    0x5400008B,  # b.lt leave
    0x91010273,  # add  x19, x19, #64
    0x17FFFFF2,  # b    next
    0xD503201F,  # nop
    # leave:
    0xD2800000,  # mov  x0, #0
    0xD2800BC8,  # mov  x8, #94             exit_group
    0xD4000001,  # svc  #0
)
_CODES = {"x86_64": _X86_64, "aarch64": _AARCH64}


def helper_elf(machine: str | None = None) -> bytes:
    """Bytes of the executable for `machine` (default: this one). KeyError if it is neither of the two."""
    machine = machine or platform.machine()
    code = _CODES[machine]
    pause_at = CODE + len(code) + len(_waiting(machine, 0))
    return executable(machine, code + _waiting(machine, pause_at) + _PAUSE)


def _waiting(machine: str, pause_at: int) -> bytes:
    """Wait for the prelude, say so with what the command has cost so far, receive the first records, do those."""

    def call(name: str, *args: int, least: int = 0) -> bytes:
        return record(name, *args, least=least, machine=machine)

    return b"".join([
        *(call("close", fd) for fd in (0, 1, 2)),
        call("mmap", FIRST, _ROOM_BYTES, PROT_READ_WRITE, MAP_PRIVATE_FIXED_ANONYMOUS, -1, 0, least=FIRST),
        call("read", READY_FD, _SAID, protocol.SPENT_BYTES, least=protocol.SPENT_BYTES),
        call("read", READY_FD, _SAID + protocol.SPENT_BYTES, 1, least=1),
        call("close", READY_FD),
        call("nanosleep", pause_at, 0),
        call("clock_gettime", _CPU_CLOCK, _SAID + protocol.SPENT_BYTES + 1),
        call("write", CHANNEL_FD, _SAID, protocol.STARTED_BYTES, least=protocol.STARTED_BYTES),
        call("recvfrom", CHANNEL_FD, FIRST, FIRST_BYTES, MSG_WAITALL, 0, 0, least=FIRST_BYTES),
        leap(FIRST),
    ])  # fmt: skip
