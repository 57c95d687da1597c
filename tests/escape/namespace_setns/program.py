import os

from attack import attempt, call

for name in os.listdir("/proc/self/ns"):

    def enter(name=name):
        fd = os.open(f"/proc/self/ns/{name}", os.O_RDONLY)
        return call("setns", fd, 0)

    attempt(name, enter)
attempt("pidfd", lambda: call("setns", os.pidfd_open(os.getpid()), 0x20000))
