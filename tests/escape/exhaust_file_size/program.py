import errno
import os
import signal

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
fd = os.open("/tmp/x", os.O_CREAT | os.O_RDWR)
for name, action in (
    ("truncate", lambda: os.ftruncate(fd, 1 << 40)),
    ("write", lambda: os.pwrite(fd, b"x", 1 << 40)),
    ("allocate", lambda: os.posix_fallocate(fd, 0, 1 << 40)),
):
    try:
        action()
        print("managed:", name)
    except OSError as error:
        print("denied:", name, errno.errorcode[error.errno])
