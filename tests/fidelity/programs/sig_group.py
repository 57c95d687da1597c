# Signals from a child reach the program and children can be killed and reaped.
import os
import signal
import time

pid = os.fork()
if pid == 0:
    time.sleep(30)
os.kill(pid, signal.SIGTERM)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
try:
    os.wait()
except ChildProcessError as error:
    print(error)
