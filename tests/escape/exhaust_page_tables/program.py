import ctypes

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
size = 1 << 40
at = libc.mmap(None, size, 1, 0x4022, -1, 0)  # PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
libc.madvise(at, size, 15)  # MADV_NOHUGEPAGE: a page table for each touched page
touched = 0
for offset in range(0, size, 2 << 20):
    touched += ctypes.c_ubyte.from_address(at + offset).value == 0
print("managed: page tables", touched)
