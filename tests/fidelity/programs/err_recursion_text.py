# Endless recursion is a RecursionError with the interpreter's text.
import sys


def down(depth):
    return down(depth + 1)


print(sys.getrecursionlimit())
try:
    down(0)
except RecursionError as error:
    print(type(error).__name__, error)
print("alive")
