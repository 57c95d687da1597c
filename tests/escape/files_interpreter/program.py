import os
import sys

from attack import attempt

open("new", "w").close()
libraries = {line.split()[-1] for line in open("/proc/self/maps") if line.rstrip().endswith(".so") or ".so." in line}
for path in ("/proc/self/exe", os.path.realpath(sys.executable), os.__file__, *sorted(libraries)[:3]):
    attempt(f"write {path}", lambda path=path: os.open(path, os.O_WRONLY))
    attempt(f"truncate {path}", lambda path=path: os.truncate(path, 0))
    attempt(f"chmod {path}", lambda path=path: os.chmod(path, 0o777))
    attempt(f"utime {path}", lambda path=path: os.utime(path))
    if not path.startswith("/proc"):
        attempt(f"replace {path}", lambda path=path: os.replace("new", path))
        attempt(f"unlink {path}", lambda path=path: os.unlink(path))
