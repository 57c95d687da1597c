# An empty stdin reads as empty, again and again.
import sys

print(repr(sys.stdin.readline()), repr(sys.stdin.read()), list(sys.stdin), repr(sys.stdin.buffer.read(5)))
