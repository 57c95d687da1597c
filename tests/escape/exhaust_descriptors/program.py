import errno
import os

count = 0
try:
    while True:
        os.open("/dev/null", os.O_RDONLY)
        count += 1
except OSError as error:
    print("denied: descriptors", count < 1024, errno.errorcode[error.errno])
