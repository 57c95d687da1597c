import signal

from attack import attempt, number, syscall

for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
    attempt(hex(flag), lambda flag=flag: syscall(number(56, 220), flag | signal.SIGCHLD, 0, 0, 0, 0))
