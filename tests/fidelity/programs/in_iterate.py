# Lines of stdin are iterated and the rest can be read.
import sys

for number, line in enumerate(sys.stdin):
    print(number, repr(line))
    if number == 1:
        break
print(sys.stdin.readlines())
