import socket
import struct

NEW_LINK, NEW_ADDRESS, NEW_ROUTE = 16, 20, 24


def ask(kind: int, body: bytes) -> int:
    route = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    route.send(struct.pack("=IHHII", 16 + len(body), kind, 0x605, 1, 0) + body)
    return struct.unpack_from("=i", route.recv(4096), 16)[0]


for name, kind, body in (
    ("link", NEW_LINK, struct.pack("=BxHiII", 0, 0, 1, 0, 0xFFFFFFFF)),
    ("address", NEW_ADDRESS, struct.pack("=BBBBI", 2, 8, 0, 0, 1) + struct.pack("=HH4s", 8, 2, b"\x0a\0\0\1")),
    ("route", NEW_ROUTE, struct.pack("=BBBBBBBBI", 2, 0, 0, 0, 254, 3, 0, 1, 0)),
):
    answer = ask(kind, body)
    print("managed:" if answer == 0 else "denied:", name, answer)
