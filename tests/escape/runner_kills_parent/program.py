import os
import signal

print(os.getppid(), flush=True)
os.kill(os.getppid(), signal.SIGKILL)
print("managed: nothing happened")
