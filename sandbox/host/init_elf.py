"""A whole static executable in some 200 bytes: pid 1 of every cell's pid namespace.

The program must not be pid 1 (default signal actions would not work, orphans would pile up), and a Python
process as pid 1 costs a second copy of the interpreter's page tables per cell (3.6 against 1.8 ms per run).
So pid 1 does two things: it has whatever is orphaned to it reaped, by the kernel, and it sleeps for ever.
It is killed from outside, and everything in its namespace dies with it.
"""

from __future__ import annotations

import platform
import struct

from sandbox.host.elf import executable

_SIGACTION = struct.pack("<4Q", 1, 0, 0, 0)  # handler SIG_IGN: children are reaped by the kernel

# rt_sigaction(SIGCHLD, &action, NULL, 8); while (wait4(-1, NULL, WNOHANG, NULL) > 0); for (;;) pause();
# `action` stands right behind the code. What ended before the first call was not reaped by the kernel: a busy machine
# may let this process run later than what is orphaned to it.
_X86_64 = bytes.fromhex(
    "b80d000000"  # mov  eax, 13            rt_sigaction
    "bf11000000"  # mov  edi, 17            SIGCHLD
    "488d352f000000"  # lea  rsi, [rip+47]  action
    "31d2"  # xor  edx, edx
    "41ba08000000"  # mov  r10d, 8
    "0f05"  # syscall
    # reap:
    "b83d000000"  # mov  eax, 61            wait4
    "4883cfff"  # or   rdi, -1
    "31f6"  # xor  esi, esi
    "ba01000000"  # mov  edx, 1             WNOHANG
    "4531d2"  # xor  r10d, r10d
    "0f05"  # syscall
    "85c0"  # test eax, eax
    "7fe7"  # jg   reap
    # sleep:
    "b822000000"  # mov  eax, 34            pause
    "0f05"  # syscall
    "ebf7" + "90" * 3  # jmp  sleep  # nop: aligns `action`
)
# aarch64 has no pause(2): ppoll(NULL, 0, NULL, NULL) sleeps as long.
_AARCH64 = struct.pack(
    "<22I",
    0xD2800220,  # mov  x0, #17        SIGCHLD
    0x100002A1,  # adr  x1, action
    0xD2800002,  # mov  x2, #0
    0xD2800103,  # mov  x3, #8
    0xD28010C8,  # mov  x8, #134       rt_sigaction
    0xD4000001,  # svc  #0
    # reap:
    0x92800000,  # mov  x0, #-1
    0xD2800001,  # mov  x1, #0
    0xD2800022,  # mov  x2, #1         WNOHANG
    0xD2800003,  # mov  x3, #0
    0xD2802088,  # mov  x8, #260       wait4
    0xD4000001,  # svc  #0
    0xF100001F,  # cmp  x0, #0
    0x54FFFF2C,  # b.gt reap
    # sleep:
    0xD2800000,  # mov  x0, #0
    0xD2800001,  # mov  x1, #0
    0xD2800002,  # mov  x2, #0
    0xD2800003,  # mov  x3, #0
    0xD2800928,  # mov  x8, #73        ppoll
    0xD4000001,  # svc  #0
    0x17FFFFFA,  # b    sleep
    0xD503201F,  # nop                 aligns `action`
)
_CODES = {"x86_64": _X86_64, "aarch64": _AARCH64}


def init_elf(machine: str | None = None) -> bytes:
    """Bytes of the executable for `machine` (default: this one). KeyError if it is neither of the two."""
    machine = machine or platform.machine()
    return executable(machine, _CODES[machine] + _SIGACTION)
