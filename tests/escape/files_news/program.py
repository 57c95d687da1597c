import fcntl
import os

from attack import attempt

for folder in ("/", "/usr/bin", "/etc", "/evalpool"):
    descriptor = os.open(folder, os.O_RDONLY)
    attempt(folder, lambda: fcntl.fcntl(descriptor, fcntl.F_NOTIFY, fcntl.DN_ACCESS | fcntl.DN_MODIFY))
