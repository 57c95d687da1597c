import socket

listener = socket.create_server(("127.0.0.1", 47113))
one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
socket.send_fds(one, [b"x"], [listener.fileno(), one.fileno(), other.fileno()])
socket.send_fds(other, [b"x"], [listener.fileno(), one.fileno(), other.fileno()])
print("hidden")
