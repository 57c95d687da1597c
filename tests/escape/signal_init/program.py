import os
import signal
import time

for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP, signal.SIGSEGV, signal.SIGCHLD):
    try:
        os.kill(1, number)
    except PermissionError:
        pass
time.sleep(0.1)
print("denied: init", os.getpid(), flush=True)
