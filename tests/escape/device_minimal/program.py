import os
import stat

from attack import attempt

print(sorted(os.listdir("/dev")))
print(
    sorted(
        n for n in os.listdir("/dev") if stat.S_ISCHR(os.stat(f"/dev/{n}").st_mode) and not os.path.islink(f"/dev/{n}")
    )
)
print([n for n in os.listdir("/dev") if stat.S_ISBLK(os.stat(f"/dev/{n}").st_mode)])
for name in (
    "tty",
    "ptmx",
    "mem",
    "kmsg",
    "fuse",
    "kvm",
    "net/tun",
    "vda",
    "sda",
    "console",
    "loop0",
    "vsock",
    "userfaultfd",
):
    attempt(name, lambda name=name: os.open(f"/dev/{name}", os.O_RDONLY))
