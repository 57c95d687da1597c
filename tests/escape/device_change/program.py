import fcntl
import os

from attack import attempt

for name in ("null", "zero", "full", "random", "urandom"):
    attempt(f"chmod {name}", lambda name=name: os.chmod(f"/dev/{name}", 0o777))
    attempt(f"utime {name}", lambda name=name: os.utime(f"/dev/{name}", (0, 0)))
attempt("chown", lambda: os.chown("/dev/null", os.getuid(), os.getgid()))
attempt("unlink", lambda: os.unlink("/dev/null"))
attempt("entropy", lambda: fcntl.ioctl(os.open("/dev/random", os.O_RDWR), 0x5204))
