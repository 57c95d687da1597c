import os
import shutil
import subprocess
import sys

from attack import attempt

ASK = "import os; print(os.getresuid(), open('/proc/self/status').read().split('CapEff:')[1].split()[0])"
here = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True).stdout
shutil.copy("/usr/bin/env", "/work/env")
os.chmod("/work/env", 0o6755)
there = subprocess.run(["/work/env", sys.executable, "-c", ASK], capture_output=True, text=True).stdout
print("denied: own" if here == there else "managed: own", there)
found = [e.path for e in os.scandir("/usr/bin") if e.is_file() and e.stat().st_mode & 0o4000]
for path in found:
    pid = os.posix_spawn(
        path,
        [path, "--help"],
        {},
        file_actions=[(os.POSIX_SPAWN_OPEN, n, "/dev/null", os.O_RDWR, 0) for n in (0, 1, 2)],
    )
    os.waitpid(pid, 0)
status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
print("denied: privileges" if status["NoNewPrivs"].strip() == "1" else "managed: privileges")
attempt("new privileges", lambda: __import__("attack").call("prctl", 38, 0, 0, 0, 0))
