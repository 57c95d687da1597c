# Bytes that are no UTF-8, NUL included, arrive as written.
import sys

sys.stdout.buffer.write(bytes(range(256)) + b"\xff\xfe\x00\x80\n")
sys.stderr.buffer.write(b"\xc3\x28\xa0\xa1\n")
