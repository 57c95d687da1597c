import ctypes

libc = ctypes.CDLL(None)
print(libc.shmget(4711, 0, 0), libc.msgget(4711, 0), libc.semget(4711, 0, 0))
print([n for n in range(64) if libc.shmctl(n, 2, ctypes.create_string_buffer(256)) >= 0])
