# select, poll, epoll and eventfd work.
import os
import select

reader, writer = os.pipe()
os.write(writer, b"x")
poll = select.poll()
poll.register(reader, select.POLLIN)
print(select.select([reader], [], [], 0)[0] == [reader], poll.poll(0) == [(reader, select.POLLIN)])
with select.epoll() as epoll:
    epoll.register(reader)
    print(epoll.poll(0) == [(reader, select.EPOLLIN)])
event = os.eventfd(2)
print(os.eventfd_read(event))
