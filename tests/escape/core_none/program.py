import ctypes
import resource

open("before", "w").close()
try:
    resource.setrlimit(resource.RLIMIT_CORE, (1 << 30, 1 << 30))
    print("managed: core limit")
except (ValueError, OSError):
    pass
ctypes.string_at(1)
