import resource
import time

for number in range(16):
    try:
        resource.prlimit(1, number, (0, 0))  # as an ordinary user pid 1 is of the same user
    except (PermissionError, ValueError):
        pass
for pid in (0, *range(3, 1000)):
    try:
        if pid and resource.prlimit(pid, resource.RLIMIT_NOFILE):
            print("managed:", pid)
    except (PermissionError, ProcessLookupError):
        pass
print("over", flush=True)
time.sleep(0.1)
