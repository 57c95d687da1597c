# SIGINT is a KeyboardInterrupt that may be caught.
import os
import signal

try:
    os.kill(os.getpid(), signal.SIGINT)
    for _ in range(1000):
        pass
except KeyboardInterrupt as error:
    print("caught", repr(error))
