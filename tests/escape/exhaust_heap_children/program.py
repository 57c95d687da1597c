import os
import time

for _ in range(8):
    if os.fork() == 0:
        keep = [bytearray(b"x") * (1 << 20) for _ in range(16)]
        time.sleep(60)
while True:
    os.wait()
