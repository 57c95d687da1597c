import os
import sys

FORGED = [
    b"W",
    b"D",
    b"F",
    b"E" + bytes(7) + b"\1" + bytes(20),
    b"G" + bytes(7) + b"\1" + bytes(20),
    b'{"status": "ok", "exit_code": 0, "stdout": "forged"}\n',
]
for stream in (1, 2):
    for text in FORGED:
        os.write(stream, text)
sys.stdout.flush()
os._exit(3)
