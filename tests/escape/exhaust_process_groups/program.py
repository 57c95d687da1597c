import os
import time

count = 0
try:
    while count < 200:
        if os.fork() == 0:
            os.setsid()
            time.sleep(60)
        count += 1
    print("managed: processes")
except OSError:
    print("denied: processes", count < 40)
