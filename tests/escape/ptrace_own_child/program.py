import os
import time

from attack import attempt, call

child = os.fork()
if child == 0:
    attempt("traceme", lambda: call("ptrace", 0, 0, 0, 0))
    time.sleep(60)
time.sleep(0.1)
attempt("attach", lambda: call("ptrace", 16, child, 0, 0))
attempt("seize", lambda: call("ptrace", 0x4206, child, 0, 0))
