import socket

answers = []
for family, address in (
    (socket.AF_INET, ("127.0.0.1", 8080)),
    (socket.AF_INET, ("127.0.0.1", 9999)),
    (socket.AF_INET6, ("::1", 9999)),
    (socket.AF_UNIX, "\0secret"),
):
    with socket.socket(family) as client:
        answers.append(client.connect_ex(address))
print(answers)
socket.create_server(("127.0.0.1", 8080))
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("127.0.0.1", 5353))
socket.socket(socket.AF_UNIX).bind("\0secret")
