import socket

from attack import attempt

attempt("icmp", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
attempt("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 255))
attempt("raw6", lambda: socket.socket(socket.AF_INET6, socket.SOCK_RAW, 58))
attempt("packet", lambda: socket.socket(17, socket.SOCK_RAW, 0x300))
