import mmap

keep = []
while True:
    keep.append(mmap.mmap(-1, 1 << 20))
    keep[-1].write(b"x" * (1 << 20))
