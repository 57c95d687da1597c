import ctypes
import errno

libc = ctypes.CDLL(None, use_errno=True)
count = 0
timer = ctypes.c_void_p()
while count < 5000 and libc.timer_create(1, None, ctypes.byref(timer)) == 0:
    count += 1
print("denied: timers" if count < 5000 else "managed: timers", errno.errorcode[ctypes.get_errno()])
