import os
import threading
import time

for _ in range(5):
    threading.Thread(target=time.sleep, args=(60,)).start()
threading.Thread(target=lambda: os._exit(5)).start()
time.sleep(60)
