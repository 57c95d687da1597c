import threading
import time

count = 0
try:
    while True:
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        count += 1
except RuntimeError as error:
    print("denied: threads", count < 64, error, flush=True)
