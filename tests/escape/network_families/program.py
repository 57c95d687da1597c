import socket

from attack import attempt

for family in set(range(64)) - {1, 2, 10, 16}:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
        attempt(f"{family} {int(kind)}", lambda f=family, k=kind: socket.socket(f, k, 0))
for protocol in set(range(24)) - {0}:
    attempt(f"netlink {protocol}", lambda p=protocol: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, p))
