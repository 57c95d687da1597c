import os
import resource
import signal

umask = oct(os.umask(0o22))
print(
    umask,
    set(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    signal.getitimer(signal.ITIMER_REAL)[0],
    os.nice(0) < 10,
    resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 64 and signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL,
    "LEFT" not in os.environ,
)
