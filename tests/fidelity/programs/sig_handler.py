# A handler of the program runs in the main thread between its statements.
import os
import signal
import threading


def handler(number, frame):
    print("got", signal.Signals(number).name, frame.f_code.co_name, threading.current_thread().name)


for name in ("SIGTERM", "SIGUSR1", "SIGHUP", "SIGINT", "SIGCHLD"):
    signal.signal(getattr(signal, name), handler)
    os.kill(os.getpid(), getattr(signal, name))
signal.raise_signal(signal.SIGTERM)
