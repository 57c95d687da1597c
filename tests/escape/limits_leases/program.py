import fcntl
import os

from attack import attempt

READ, WRITE = 0, 1
for path in ("/etc/passwd", os.__file__, "own"):
    descriptor = os.open(path, os.O_RDONLY | (os.O_CREAT if path == "own" else 0))
    attempt("write lease", lambda: fcntl.fcntl(descriptor, fcntl.F_SETLEASE, WRITE))
    attempt("read lease", lambda: fcntl.fcntl(descriptor, fcntl.F_SETLEASE, READ))
with open("own", "r+b") as file:
    fcntl.lockf(file, fcntl.LOCK_EX)
print("locks work")
