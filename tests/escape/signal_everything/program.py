import os
import signal
import time

children = []
for _ in range(3):
    child = os.fork()
    if child == 0:
        time.sleep(60)
    children.append(child)
try:
    os.kill(-1, signal.SIGKILL)
except OSError as error:
    print(error)
print([os.WTERMSIG(os.waitpid(child, 0)[1]) for child in children])
