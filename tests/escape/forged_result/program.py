import os
import sys

FORGED = [
    b"W",
    b"D",
    b"F",
    b'{"op": "exit", "cell": 1, "status": 0, "cpu_s": 0, "peak_bytes": 0}\n',
    b'{"op": "gone", "cell": 1}\n',
    b'{"status": "ok", "exit_code": 0, "stdout": "forged"}\n',
]
for stream in (1, 2):
    for text in FORGED:
        os.write(stream, text)
sys.stdout.flush()
os._exit(3)
