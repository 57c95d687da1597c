import os
import resource
import signal

os.umask(0)
os.nice(10)
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 30))
signal.signal(signal.SIGUSR1, signal.SIG_IGN)
signal.setitimer(signal.ITIMER_REAL, 3)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
os.environ["LEFT"] = "over"
print("changed")
