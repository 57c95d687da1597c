import socket

for name in ("example.org", "redis", "metadata.google.internal"):
    try:
        print("managed:", name, socket.getaddrinfo(name, 80))
    except OSError as error:
        print("denied:", name, error)
