import ctypes
import os

libc = ctypes.CDLL(None)
print(os.listdir("/dev/shm"), libc.mq_open(b"/secret", 0), libc.shm_open(b"/secret", 0, 0))
