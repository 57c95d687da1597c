import os

read = 0
for folder, _, names in (entry for top in ("/opt/python/lib", "/usr/lib") for entry in os.walk(top)):
    for name in names:
        path = f"{folder}/{name}"
        if read < 32 << 20 and os.path.isfile(path) and os.path.getsize(path) > 1 << 20:
            file = os.open(path, os.O_RDONLY)
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)  # or it is charged to who read it before
            while piece := os.read(file, 1 << 20):
                read += len(piece)
            os.close(file)
print("read" if read >= 32 << 20 else "nothing to read")
