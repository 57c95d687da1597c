import fcntl
import socket
import struct

from attack import attempt

print(socket.if_nameindex())
control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
attempt("down", lambda: fcntl.ioctl(control, 0x8914, struct.pack("16sH14x", b"lo", 0)))
attempt("address", lambda: fcntl.ioctl(control, 0x8916, struct.pack("16sHH4s8x", b"lo", 2, 0, bytes([10, 0, 0, 1]))))
attempt("mtu", lambda: fcntl.ioctl(control, 0x8922, struct.pack("16si12x", b"lo", 100)))
route = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)


def new_link():
    """RTM_NEWLINK, a dummy interface."""
    body = struct.pack("BxHiII", 0, 0, 0, 0, 0) + struct.pack("HH", 10, 3) + b"dummy0" + b"\0\0"
    route.send(struct.pack("IHHII", 16 + len(body), 16, 0x605, 1, 0) + body)
    error = struct.unpack_from("i", route.recv(4096), 16)[0]
    if error:
        raise OSError(-error, "netlink")


attempt("link", new_link)
