# An alarm without handler ends the program by SIGALRM.
import signal
import time

print(signal.alarm(0))
signal.setitimer(signal.ITIMER_REAL, 0.05)
time.sleep(5)
print("never")
