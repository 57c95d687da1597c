import os
import time

for _ in range(60):  # orphans, each ends at once
    middle = os.fork()
    if middle == 0:
        if os.fork() == 0:
            os._exit(0)
        os._exit(0)
    os.waitpid(middle, 0)
time.sleep(0.1)
print("reaped", len([name for name in os.listdir("/proc") if name.isdigit()]))
