# A detached stdout is gone for print.
import sys

raw = sys.stdout.detach()
raw.write(b"through the buffer\n")
raw.flush()
print("nowhere to go")
