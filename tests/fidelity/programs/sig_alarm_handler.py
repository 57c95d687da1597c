# An alarm handler that raises interrupts a sleep.
import signal
import time


def late(number, frame):
    raise TimeoutError("too late")


signal.signal(signal.SIGALRM, late)
signal.setitimer(signal.ITIMER_REAL, 0.05)
try:
    time.sleep(5)
except TimeoutError as error:
    print(error)
