import ctypes
import sys
import threading
import time

threading.stack_size(32 << 20)
libc = ctypes.CDLL(None)


def fill() -> None:
    here = ctypes.create_string_buffer(1)
    libc.memset(ctypes.c_void_p(ctypes.addressof(here)), 0, 1)
    deep(20000)
    time.sleep(60)


def deep(n: int) -> int:
    return min([n], key=lambda n: deep(n - 1) if n else 0)  # through C, or there would be no stack to fill


sys.setrecursionlimit(1 << 20)
threads = [threading.Thread(target=fill, daemon=True) for _ in range(20)]
for thread in threads:
    thread.start()
time.sleep(4)
print("managed: stacks")
