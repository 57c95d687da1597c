import socket

server = socket.create_server(("127.0.0.1", 0), backlog=1000)
keep, total = [], 0
try:
    while True:
        client = socket.create_connection(server.getsockname())
        client.setblocking(False)
        keep += [client, server.accept()[0]]
        try:
            while True:
                total += client.send(b"x" * 65536)
        except BlockingIOError:
            pass
        if total > 2 << 30:
            print("managed: 2 GiB")
            break
except OSError as error:
    print("denied: connections", error.errno)
