import socket
import struct

from attack import attempt, number, syscall

LEVEL, MANAGER = 41, 32
SETSOCKOPT = number(54, 208)
one = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
request = socket.inet_pton(socket.AF_INET6, "::1") + struct.pack("!IBBHHHI", 0x1234, 0, 1, 3, 6, 60, 0)
attempt("label", lambda: one.setsockopt(LEVEL, MANAGER, request))
upper = 1 << 32
attempt("upper half", lambda: syscall(SETSOCKOPT, one.fileno(), LEVEL | upper, MANAGER | upper, request, len(request)))
one.setsockopt(LEVEL, socket.IPV6_V6ONLY, 1)
one.setsockopt(socket.SOL_IP, MANAGER, socket.inet_aton("127.0.0.1"))
print("others work")
