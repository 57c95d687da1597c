# A program may kill itself.
import os
import signal

print("lost text")
os.kill(os.getpid(), signal.SIGKILL)
