import fcntl
import os
import termios

from attack import attempt

attempt("tty", lambda: os.open("/dev/tty", os.O_RDWR))
attempt("pty", os.openpty)
os.setsid() if os.getpid() != os.getsid(0) else None
for fd in range(3):
    attempt(f"type {fd}", lambda fd=fd: fcntl.ioctl(fd, termios.TIOCSTI, b"x"))
    attempt(f"own {fd}", lambda fd=fd: fcntl.ioctl(fd, termios.TIOCSCTTY, 0))
