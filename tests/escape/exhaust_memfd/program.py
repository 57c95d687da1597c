import os

keep = []
try:
    while True:
        keep.append(os.memfd_create("x"))
        os.write(keep[-1], b"x" * (8 << 20))
except OSError as error:
    print("denied: memfd", error.errno)
