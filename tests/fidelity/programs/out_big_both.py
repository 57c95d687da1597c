# Large outputs on both streams do not block each other.
import sys

for number in range(2_000):
    print("out", number, "o" * 90)
    print("err", number, "e" * 90, file=sys.stderr)
