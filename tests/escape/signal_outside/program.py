import os

from attack import attempt

for pid in (*range(3, 300), 1000, 4194303, os.getppid() or -99999):
    attempt(str(pid), lambda pid=pid: os.kill(pid, 0))
    attempt(f"fd {pid}", lambda pid=pid: os.pidfd_open(pid) if pid > 0 else os.kill(pid, 0))
