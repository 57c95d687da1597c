# Settings of the runtime are the defaults.
import gc
import sys

print(sys.getrecursionlimit(), sys.getswitchinterval(), sys.get_int_max_str_digits(), sys.getfilesystemencoding())
print(sys.getdefaultencoding(), sys.getfilesystemencodeerrors(), sys.byteorder, sys.maxsize)
print(gc.isenabled(), gc.get_threshold(), gc.get_debug(), gc.garbage, gc.callbacks)
print(sys.get_asyncgen_hooks(), sys.get_coroutine_origin_tracking_depth(), sys.is_finalizing(), hasattr(sys, "ps1"))
print(hasattr(sys, "tracebacklimit"), hasattr(sys, "last_type"), sys.implementation.name, sys.version_info[:2])
