import os
import signal

print(os.getpgid(0), os.getsid(0), os.getppid(), flush=True)
os.kill(0, signal.SIGKILL)
