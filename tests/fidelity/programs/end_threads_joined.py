# Threads that are no daemons are waited for after the end of main.
import atexit
import threading
import time


def work(number):
    time.sleep(0.15 * number)
    print("thread", number)


atexit.register(print, "atexit after the threads")
for number in (3, 1, 2):
    threading.Thread(target=work, args=(number,)).start()
print("end of main")
