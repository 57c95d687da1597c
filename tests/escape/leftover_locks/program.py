import fcntl
import os
import time

file = open("/etc/passwd")
fcntl.flock(file, fcntl.LOCK_EX)
if os.fork() == 0:
    os.setsid()
    time.sleep(60)
print("locked", flush=True)
os._exit(0)
