import errno
import socket
import time

for _ in range(50):
    try:
        socket.create_connection(("127.0.0.1", 47113), 1).close()
        time.sleep(0.02)
    except OSError as error:
        print("free" if error.errno == errno.ECONNREFUSED else error)
        break
