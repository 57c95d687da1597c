# Bytes that are no UTF-8 are read as surrogate escapes.
import sys

print(ascii(sys.stdin.read()))
