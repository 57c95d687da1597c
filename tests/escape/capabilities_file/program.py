import os
import struct

from attack import attempt

open("tool", "w").close()
every = struct.pack("<IIIII", 0x02000001, 0xFFFFFFFF, 0, 0xFFFFFFFF, 0)
attempt("capability", lambda: os.setxattr("tool", "security.capability", every))
attempt("trusted", lambda: os.setxattr("tool", "trusted.overlay.opaque", b"y"))
