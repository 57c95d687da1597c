# Binary stdin gives the bytes as sent.
import sys

data = sys.stdin.buffer.read()
print(len(data), data[:8], data[-8:], sum(data))
