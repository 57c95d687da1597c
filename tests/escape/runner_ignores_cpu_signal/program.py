import resource
import signal

signal.signal(signal.SIGXCPU, signal.SIG_IGN)
try:
    resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
    print("managed: limit")
except ValueError:
    print("denied: limit", flush=True)
while True:
    pass
