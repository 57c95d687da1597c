# SIGINT while the threads are joined is reported, and the exit goes on.
import threading, os, signal, time
def f():
    time.sleep(.2); os.kill(os.getpid(), signal.SIGINT); time.sleep(.3); print("end")
threading.Thread(target=f).start()
