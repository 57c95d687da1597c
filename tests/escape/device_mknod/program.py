import os
import stat

from attack import attempt

for name, kind, device in (
    ("mem", stat.S_IFCHR, (1, 1)),
    ("null", stat.S_IFCHR, (1, 3)),
    ("disk", stat.S_IFBLK, (254, 0)),
):
    for folder in ("/tmp", "/work", "/dev/shm"):
        attempt(
            f"{name} {folder}", lambda p=f"{folder}/{name}", k=kind, d=device: os.mknod(p, k | 0o666, os.makedev(*d))
        )
