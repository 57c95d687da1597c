import ctypes
import struct

from attack import attempt, number, syscall

CALLS = {"mount": number(165, 40), "unshare": number(272, 97)}
# For both: let the supervisor decide (SECCOMP_RET_USER_NOTIF), which is this program itself.
code = struct.pack("<HBBI", 0x20, 0, 0, 0)
code += struct.pack("<HBBI", 0x15, 1, 0, CALLS["mount"]) + struct.pack("<HBBI", 0x15, 0, 1, CALLS["unshare"])
code += struct.pack("<HBBI", 0x06, 0, 0, 0x7FC00000) + struct.pack("<HBBI", 0x06, 0, 0, 0x7FFF0000)
kept = ctypes.create_string_buffer(code)
supervised = struct.pack("HxxxxxxQ", 5, ctypes.addressof(kept))
attempt("filter", lambda: syscall(number(317, 277), 1, 8, supervised))
for name, its_number in CALLS.items():
    attempt(name, lambda its_number=its_number: syscall(its_number, 0x10000000, 0, 0, 0, 0))
