import fcntl
import os

from attack import attempt

USER_OF, PARENT_OF = 0xB701, 0xB702
for name in ("user", "pid"):
    fd = os.open(f"/proc/self/ns/{name}", os.O_RDONLY)
    attempt(f"parent of {name}", lambda fd=fd: fcntl.ioctl(fd, PARENT_OF))
attempt("owner", lambda: fcntl.ioctl(os.open("/proc/self/ns/user", os.O_RDONLY), USER_OF))
