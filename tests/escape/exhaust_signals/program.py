import errno
import os
import signal

from attack import call

signal.pthread_sigmask(signal.SIG_BLOCK, [40])
count = 0
try:
    while count < 10_000:
        call("sigqueue", os.getpid(), 40, 0)
        count += 1
    print("managed: signals")
except OSError as error:
    print("denied: signals", errno.errorcode[error.errno])
