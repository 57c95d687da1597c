import socket

one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
for end in (one, other):
    socket.send_fds(end, [b"x"], [1, 2, one.fileno(), other.fileno()])
print("sent")
