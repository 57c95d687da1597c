import mmap

keep = []
try:
    while len(keep) < 100_000:
        keep.append(mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE * (len(keep) % 2)))
    print("managed: maps")
except OSError as error:
    count, error_text = len(keep), error.strerror
    del keep[:1000]
    print("denied: maps", count, error_text)
