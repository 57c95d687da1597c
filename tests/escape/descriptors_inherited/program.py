import os
import stat

opened = []
for fd in range(4096):
    try:
        opened.append((fd, stat.S_ISFIFO(os.fstat(fd).st_mode)))
    except OSError:
        pass
print(opened)
print("managed: descriptors" if len(opened) > 3 else "denied: descriptors")
