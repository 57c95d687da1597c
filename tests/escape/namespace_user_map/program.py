from pathlib import Path

from attack import attempt

for name in ("uid_map", "gid_map", "setgroups"):
    attempt(name, lambda name=name: Path("/proc/self", name).write_text("0 0 1"))
