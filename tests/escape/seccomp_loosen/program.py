import ctypes
import struct

from attack import attempt, call, number, syscall

allow_all = struct.pack("HBBI", 6, 0, 0, 0x7FFF0000)
buffer = ctypes.create_string_buffer(allow_all)
program = struct.pack("HxxxxxxQ", 1, ctypes.addressof(buffer))
attempt("filter", lambda: call("prctl", 22, 2, program))
attempt("unshare", lambda: call("unshare", 0x10000000))
attempt("off", lambda: call("prctl", 22, 0))
attempt("keyctl", lambda: syscall(number(250, 219), 0, 0))
