import socket

from attack import attempt

for address in (
    "192.0.2.1",
    "8.8.8.8",
    "10.0.0.1",
    "172.17.0.1",
    "192.168.0.1",
    "169.254.169.254",
    "100.100.100.200",
    "224.0.0.1",
    "255.255.255.255",
):
    attempt(f"udp {address}", lambda a=address: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect((a, 53)))
    attempt(f"tcp {address}", lambda a=address: socket.socket(socket.AF_INET, socket.SOCK_STREAM).connect((a, 80)))
for address in ("2001:db8::1", "fd00:ec2::254", "fe80::1%lo"):
    attempt(f"udp {address}", lambda a=address: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).connect((a, 53)))
