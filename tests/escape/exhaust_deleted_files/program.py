import errno
import os

keep = []
try:
    for number in range(16):
        keep.append(os.open(f"/tmp/{number}", os.O_CREAT | os.O_RDWR))
        os.unlink(f"/tmp/{number}")
        for _ in range(16):
            os.write(keep[-1], b"x" * (1 << 20))
    print("managed: 256 MiB")
except OSError as error:
    print("denied: files", errno.errorcode[error.errno])
