import os
import signal

for number in set(range(1, 32)) - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, signal.SIG_IGN)
for _ in range(3):
    os.fork()
while True:
    try:
        os.write(1, b"x" * 4096)
    except OSError:
        pass
