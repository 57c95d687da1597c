# stderr is a stream of its own, with its own ending.
import sys

print("to stderr", file=sys.stderr)
print("to stdout")
sys.stderr.write("no newline")
