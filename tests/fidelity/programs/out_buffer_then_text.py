# Bytes written to sys.stdout.buffer overtake text that is not flushed yet.
import sys

sys.stdout.write("text\n")
sys.stdout.buffer.write(b"bytes\n")
sys.stdout.flush()
sys.stdout.buffer.write(b"more bytes\n")
