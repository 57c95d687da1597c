# ctypes calls the C library.
import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)
print(libc.getpid() == os.getpid(), libc.abs(-5), libc.strlen(b"hello"))
print(libc.close(-1), os.strerror(ctypes.get_errno()))
callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(lambda number: number + 1)
print(callback(41))
