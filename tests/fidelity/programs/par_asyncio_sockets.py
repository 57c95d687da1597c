# A server and a client meet on loopback and on a socket pair.
import asyncio
import socket


async def serve(reader, writer):
    writer.write((await reader.readline()).upper())
    await writer.drain()
    writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"hello\n")
        print(await reader.read())
        writer.close()
    left, right = socket.socketpair()
    left.sendall(b"pair")
    print(right.recv(10))
    left.close()
    right.close()


asyncio.run(main())
