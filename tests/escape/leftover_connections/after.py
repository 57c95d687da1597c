import socket
import struct

GET_LINK, STATISTICS = 18, 23


def bind(port: int) -> int:
    with socket.socket() as server:  # without SO_REUSEADDR
        try:
            server.bind(("127.0.0.1", port))
        except OSError as error:
            return error.errno or -1
        return 0


def packets() -> int:
    """Received by the loopback interface so far."""
    route = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    route.send(struct.pack("=IHHII", 32, GET_LINK, 1, 1, 0) + struct.pack("=BxHiII", 0, 0, 1, 0, 0))
    answer, at = route.recv(65536), 32
    while at < len(answer):
        length, kind = struct.unpack_from("=HH", answer, at)
        if kind == STATISTICS:
            return struct.unpack_from("=Q", answer, at + 4)[0]
        at += (length + 3) & ~3
    return -1


print({port: bind(port) for port in (8000, 8080, 50000)}, packets())
