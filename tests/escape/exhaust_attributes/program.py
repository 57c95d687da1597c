import errno
import os

total = 0
try:
    for number in range(500):
        open(f"/tmp/{number}", "w").close()
        for key in range(4):
            os.setxattr(f"/tmp/{number}", f"user.{key}", b"x" * 60_000)
            total += 60_000
    print("managed: attributes", total)
except OSError as error:
    print("denied: attributes", total < 64 << 20, errno.errorcode[error.errno])
