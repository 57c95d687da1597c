import ctypes
import os
from multiprocessing import shared_memory

libc = ctypes.CDLL(None)
kept = shared_memory.SharedMemory("secret", create=True, size=4096)
libc.sem_open(b"/secret", 0o100, 0o666, 1)
queue = libc.mq_open(b"/secret", 0o102, 0o666, None)
print("left", flush=True)
os._exit(0)
