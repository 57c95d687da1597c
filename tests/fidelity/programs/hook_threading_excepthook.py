# A custom threading.excepthook sees the error of a thread.
import threading

threading.excepthook = lambda args: print("hook", args.exc_type.__name__, args.exc_value, args.thread.name)
thread = threading.Thread(target=lambda: 1 / 0, name="worker")
thread.start()
thread.join()
print("goes on")
