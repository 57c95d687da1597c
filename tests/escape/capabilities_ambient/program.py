import os
import struct

from attack import attempt, call

for capability in (1, 7, 12, 21):
    attempt(f"ambient {capability}", lambda capability=capability: call("prctl", 47, 2, capability, 0, 0))
attempt("keep", lambda: call("prctl", 28, 0x10, 0, 0, 0))
header, every = struct.pack("Ii", 0x20080522, 0), b"\xff" * 24
attempt("capset", lambda: call("capset", header, every))
print(os.getuid() > 0)
