import ctypes
import mmap

libc = ctypes.CDLL(None)
page = mmap.mmap(-1, 32 << 20)
at = ctypes.addressof(ctypes.c_char.from_buffer(page))
print("denied: mlock" if libc.mlock(ctypes.c_void_p(at), 32 << 20) else "managed: mlock")
print("denied: mlockall" if libc.mlockall(3) else "managed: mlockall")
