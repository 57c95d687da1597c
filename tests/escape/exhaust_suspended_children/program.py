import os
import signal
import time

children = []
try:
    while len(children) < 200:
        pid = os.fork()
        if pid == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
            time.sleep(60)
        children.append(pid)
    print("managed: 200 children")
except OSError:
    print("denied: more", len(children) < 40)
