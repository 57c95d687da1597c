import struct

from attack import syscall

CREATE, ADD_RULE, PORTS = 444, 445, 2  # on every architecture
try:
    for _ in range(8):
        rules = syscall(CREATE, struct.pack("QQ", 0, 3), 16, 0)
        for port in range(65536):
            syscall(ADD_RULE, rules, PORTS, struct.pack("QQ", 3, port), 0)
    print("managed: 500,000 rules")
except OSError as error:
    print("denied: rule", error.errno)
