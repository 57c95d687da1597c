import socket

from attack import attempt

one = socket.socket()
for name, level, option, value in (
    ("mark", socket.SOL_SOCKET, 36, 1),
    ("transparent", socket.SOL_IP, 19, 1),
    ("priority", socket.SOL_SOCKET, 12, 7),
    ("send buffer", socket.SOL_SOCKET, 32, 1 << 30),
    ("receive buffer", socket.SOL_SOCKET, 33, 1 << 30),
):
    attempt(name, lambda level=level, option=option, value=value: one.setsockopt(level, option, value))
