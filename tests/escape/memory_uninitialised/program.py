import mmap
import os

page = mmap.mmap(-1, 32 << 20)
remains = page.read().strip(b"\0")
fd = os.open("hole", os.O_CREAT | os.O_RDWR)
os.ftruncate(fd, 8 << 20)
remains += os.read(fd, 8 << 20).strip(b"\0")
print("managed: remains" if remains else "denied: remains", len(remains))
