import socket

from attack import attempt

for address in ("255.255.255.255", "224.0.0.1", "ff02::1", "10.255.255.255"):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    one = socket.socket(family, socket.SOCK_DGRAM)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    attempt(address, lambda one=one, address=address: one.sendto(b"x", (address, 9)))
