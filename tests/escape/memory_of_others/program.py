import os

from attack import attempt

for pid in (0, 1, *range(3, 40), os.getppid()):
    for name in ("mem", "environ", "maps", "root", "cwd", "exe", "fd", "ns/pid"):
        attempt(
            f"{pid} {name}",
            lambda pid=pid, name=name: os.stat(f"/proc/{pid}/{name}") and os.open(f"/proc/{pid}/{name}", os.O_RDONLY),
        )
