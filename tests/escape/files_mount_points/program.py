import os

from attack import attempt

for path in ("/work", "/tmp", "/dev/shm", "/proc"):
    attempt(f"remove {path}", lambda path=path: os.rmdir(path))
    attempt(f"move {path}", lambda path=path: os.rename(path, "/tmp/moved"))
    attempt(f"cover {path}", lambda path=path: os.symlink("/etc", path))
