# An error in a thread prints a traceback naming the thread, and the program goes on.
import threading


def work():
    raise ValueError("in a thread")


for _ in range(2):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
print("exit is 0")
