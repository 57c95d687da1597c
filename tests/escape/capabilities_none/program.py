import struct

from attack import attempt, call

status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
    print(("denied:" if int(status[name], 16) == 0 else "managed:"), name, status[name].strip())
header = struct.pack("Ii", 0x20080522, 0)
attempt("capset", lambda: call("capset", header, struct.pack("6I", *[0xFFFFFFFF] * 6)))
attempt("ambient", lambda: call("prctl", 47, 2, 21, 0, 0))
attempt("keepcaps", lambda: call("prctl", 8, 1, 0, 0, 0) or call("capset", header, struct.pack("6I", 1, 1, 0, 0, 0, 0)))
