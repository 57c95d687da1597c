import os

from attack import attempt

for name in ("mem", "maps", "environ", "fd", "root", "cwd", "exe", "ns", "stack", "syscall", "map_files"):
    path = f"/proc/1/{name}"
    attempt(name, lambda path=path: os.listdir(path) if os.path.isdir(path) else open(path, "rb").read(1))
