# Daemon threads are not waited for.
import threading
import time

threading.Thread(target=lambda: (time.sleep(30), print("never")), daemon=True).start()
print("end of main")
