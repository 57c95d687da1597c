import mmap
import os

keep = []
for number in range(8):
    fd = os.open(f"/dev/shm/{number}", os.O_CREAT | os.O_RDWR)
    os.ftruncate(fd, 48 << 20)
    keep.append(mmap.mmap(fd, 48 << 20))
    for at in range(0, 48 << 20, 4096):
        keep[-1][at] = 1
print("managed: mapped files")
