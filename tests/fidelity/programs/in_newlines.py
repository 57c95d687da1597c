# Line ends of every kind are translated on text stdin.
import sys

print(repr(sys.stdin.readline()), repr(sys.stdin.read()))
