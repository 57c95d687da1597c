# A submitted file shadows also modules that the sandbox may have imported before.
import random
import socket
import statistics

print(random.MINE, socket.MINE, statistics.MINE)
