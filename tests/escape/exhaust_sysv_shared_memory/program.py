import ctypes

libc = ctypes.CDLL(None)
libc.shmat.restype = ctypes.c_void_p
for _ in range(64):
    segment = libc.shmget(0, 8 << 20, 0o1600)
    if segment < 0:
        print("denied: shm")
        break
    at = libc.shmat(segment, None, 0)
    ctypes.memset(at, 1, 8 << 20)
    libc.shmdt(ctypes.c_void_p(at))
else:
    print("managed: 512 MiB")
