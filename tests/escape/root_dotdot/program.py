import os

fd = os.open("/", os.O_RDONLY)
for _ in range(40):
    fd = os.open("..", os.O_RDONLY, dir_fd=fd)
os.fchdir(fd)
same = os.path.samestat(os.fstat(fd), os.stat("/"))
print("denied: up" if same and os.listdir(".") == os.listdir("/") else "managed: up")
os.chdir("/proc/self/root")
print("denied: root link" if os.path.samestat(os.stat("."), os.stat("/")) else "managed: root link")
