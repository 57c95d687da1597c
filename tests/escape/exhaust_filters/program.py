import ctypes
import socket
import struct

from attack import attempt, call, number, syscall

LENGTH = 4096
steps = struct.pack("HBBI", 0x94, 0, 0, 7) * (LENGTH - 1) + struct.pack("HBBI", 0x06, 0, 0, 0x7FFF0000)
kept = ctypes.create_string_buffer(steps)
program = struct.pack("HxxxxxxQ", LENGTH, ctypes.addressof(kept))
for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
    one = socket.socket(family, socket.SOCK_DGRAM)
    attempt("socket", lambda one=one: one.setsockopt(socket.SOL_SOCKET, 26, program))
    attempt("port", lambda one=one: one.setsockopt(socket.SOL_SOCKET, 51, program))
attempt("prctl", lambda: call("prctl", 22, 2, program))
attempt("seccomp", lambda: syscall(number(317, 277), 1, 0, program))
