import errno
import os

open("/tmp/one", "w").close()
os.mkdir("/tmp/hard")
os.mkdir("/tmp/symbolic")
for kind, link in (("hard", os.link), ("symbolic", os.symlink)):
    try:
        for number in range(100_000):
            link("/tmp/one", f"/tmp/{kind}/{number}")
        print("managed:", kind)
    except OSError as error:
        print("denied:", kind, errno.errorcode[error.errno])
