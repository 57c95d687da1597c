# Memory maps, sparse files, locks and FIFOs work.
import fcntl
import mmap
import os

with open("map.bin", "w+b") as file:
    file.truncate(8192)
    fcntl.flock(file, fcntl.LOCK_EX)
    with mmap.mmap(file.fileno(), 8192) as view:
        view[:5] = b"hello"
        print(view.find(b"lo"), os.path.getsize("map.bin"))
os.mkfifo("fifo")
print(os.stat("fifo").st_mode & 0o777, open("map.bin", "rb").read(6))
