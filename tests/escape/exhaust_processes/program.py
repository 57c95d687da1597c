import os
import time

count = 0
try:
    while True:
        if os.fork() == 0:
            time.sleep(60)
        count += 1
except OSError as error:
    print("denied: forks", count < 64, error.errno)
