import errno
import os

count = 0
try:
    while True:
        os.mkdir(f"/tmp/{count}") if count % 2 else os.symlink("x", f"/tmp/{count}")
        count += 1
except OSError as error:
    print("denied: inodes", count < 8192, errno.errorcode[error.errno])
os.unlink("/tmp/0")
open("/work/out", "w").close()
