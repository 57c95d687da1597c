import os
import signal
import socket
import time

for number in range(1, 32):
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_IGN)
for _ in range(5):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            while True:
                time.sleep(0.01)
        os._exit(0)
print("left", flush=True)
os._exit(0)
