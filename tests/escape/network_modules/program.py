import fcntl
import socket

from attack import attempt

one = socket.socket()
for request in (0x8940, 0x8941, 0x89A0, 0x89A1):
    attempt(f"bridge {request:#x}", lambda request=request: fcntl.ioctl(one, request, bytes(64)))
for request in (0x8982, 0x8983):
    attempt(f"vlan {request:#x}", lambda request=request: fcntl.ioctl(one, request, bytes(64)))
attempt("tls", lambda: one.setsockopt(socket.SOL_TCP, 31, b"tls"))
