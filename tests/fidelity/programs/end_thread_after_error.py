# Threads are waited for also after an unhandled exception.
import threading
import time

threading.Thread(target=lambda: (time.sleep(0.03), print("thread done"))).start()
raise ValueError("main failed")
