import socket

for port in (8000, 8080, 50000):
    server = socket.create_server(("127.0.0.1", port))
    for _ in range(3):
        client = socket.create_connection(("127.0.0.1", port))
        served, _ = server.accept()
        served.close()  # who closes first keeps the port, for a minute
        client.close()
    server.close()
print("left")
