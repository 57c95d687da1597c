# A surrogate escape becomes its byte again and a lone surrogate is an error.
import sys

print(sys.stdout.errors, sys.stderr.errors)
print("\udcff byte")
sys.stdout.flush()
print("lone \ud800", file=sys.stderr)
print("lone \ud800")
