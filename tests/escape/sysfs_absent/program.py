import os

from attack import attempt

for path in (
    "/sys",
    "/sys/fs/cgroup",
    "/sys/kernel/debug",
    "/run",
    "/var/run/docker.sock",
    "/home",
    "/boot",
    "/mnt",
    "/var/log",
    "/etc/shadow",
    "/etc/ssh",
    "/lost+found",
    "/srv",
):
    attempt(path, lambda path=path: os.stat(path))
