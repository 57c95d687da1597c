import os

from attack import attempt

for path in ("/etc/passwd", "/usr/bin/env", os.__file__, "/proc/self/environ", "/dev/null"):
    attempt(path, lambda path=path: os.link(path, "linked", follow_symlinks=True))
