import os
import socket
import time

servers = [socket.create_server(("127.0.0.1", port)) for port in (8080, 9999)]
servers.append(socket.create_server(("::1", 9999), family=socket.AF_INET6))
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("127.0.0.1", 5353))
abstract = socket.socket(socket.AF_UNIX)
abstract.bind("\0secret")
abstract.listen()
if os.fork() == 0:
    os.setsid()
    time.sleep(60)
print("left")
