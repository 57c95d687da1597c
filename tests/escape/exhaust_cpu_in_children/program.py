import os

for _ in range(4):
    if os.fork() == 0:
        os.setsid()
        while True:
            pass
while True:
    os.wait()
