import os
import resource
import struct

from attack import attempt, number, syscall

attempt("nice", lambda: os.setpriority(os.PRIO_PROCESS, 0, -5))
attempt("back", lambda: os.setpriority(os.PRIO_PROCESS, 0, 0))
attempt("fifo", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)))
slice_of_a_tenth = struct.pack("IIQiIQQQ", 48, 0, 0, 2, 0, 100_000, 0, 0)
attempt("slice", lambda: syscall(number(314, 274), 0, slice_of_a_tenth, 0))
attempt("io", lambda: syscall(number(251, 30), 1, 0, (1 << 13) | 0))
for name in ("NPROC", "NOFILE", "FSIZE", "CORE", "MEMLOCK", "MSGQUEUE", "SIGPENDING", "NICE", "RTPRIO"):
    limit = getattr(resource, f"RLIMIT_{name}")
    soft, hard = resource.getrlimit(limit)
    try:
        resource.setrlimit(limit, (soft, hard + 1))
        print("managed:", name, hard)
    except ValueError:  # what Python makes of EPERM
        print("denied:", name)
