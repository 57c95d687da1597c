import errno
import os

total = 0
for folder in ("/tmp", "/dev/shm", "/work"):
    try:
        for number in range(100):
            fd = os.open(f"{folder}/{number}", os.O_CREAT | os.O_WRONLY)
            for _ in range(16):
                total += os.write(fd, b"x" * (1 << 20))
            os.close(fd)
    except OSError as error:
        print("denied:", folder, errno.errorcode[error.errno])
print(total <= 64 << 20, flush=True)
