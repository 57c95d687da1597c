import os

seen = []
for pid in range(1, 5000):
    try:
        os.kill(pid, 0)
        seen.append(pid)
    except ProcessLookupError:
        pass
    except PermissionError:
        seen.append(pid)
print("own only" if set(seen) <= {1, os.getpid()} else f"managed: {seen}")
