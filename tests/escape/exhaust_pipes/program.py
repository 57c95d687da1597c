import socket

total = 0
keep = []
try:
    while True:
        pair = socket.socketpair()
        pair[0].setblocking(False)
        keep.append(pair)
        try:
            while True:
                total += pair[0].send(b"x" * 65536)
        except BlockingIOError:
            pass
except OSError as error:
    print("denied: sockets", total < 256 << 20, error.errno)
