import fcntl
import os
import struct

from attack import attempt

fd = os.open("/dev/random", os.O_RDWR)
attempt("credit", lambda: fcntl.ioctl(fd, 0x40085203, struct.pack("ii8s", 64, 8, b"\0" * 8)))
attempt("count", lambda: fcntl.ioctl(fd, 0x40045201, struct.pack("i", 4096)))
attempt("clear", lambda: fcntl.ioctl(fd, 0x5206))
attempt("reseed", lambda: fcntl.ioctl(fd, 0x5207))
