"""Programs that take whatever they can get, a kind each: the neighbours of a well-behaved one."""

from __future__ import annotations

HOSTILE = {
    "CPU hogs": "while True: pass",
    "system call storms": "import os\nwhile True: os.getppid()",
    "fork bombs": """
import os
while True:
    try: os.fork()
    except OSError: pass
""",
    "session bombs": """
import os
while True:
    try:
        if os.fork() == 0:
            os.setsid()
            while True: pass
    except OSError: pass
""",
    "thread bombs": """
import threading
def spin():
    while True: pass
while True:
    try: threading.Thread(target=spin).start()
    except RuntimeError: pass
""",
    "exec storms": "import subprocess\nwhile True: subprocess.run(['true'])",
    "memory hogs": "x = []\nwhile True: x.append(bytearray(1 << 20))",
    "memory walkers": "x = bytearray(200 << 20)\nwhile True:\n    for at in range(0, len(x), 4096): x[at] ^= 1",
    "disk writers": """
block = bytes(1 << 20)
while True:
    with open('file', 'wb') as file:
        for _ in range(60): file.write(block)
""",
    "disk flushers": "import os\nfile = os.open('/usr/bin/env', os.O_RDONLY)\nwhile True: os.fsync(file)",
    "inode eaters": """
import os
while True:
    try:
        for n in range(9000): open(f'f{n}', 'w').close()
    except OSError: pass
    for name in os.listdir(): os.unlink(name)
""",
    "descriptor eaters": """
import os
while True:
    held = []
    try:
        while True: held.append(os.pipe())
    except OSError: pass
    for pair in held: os.close(pair[0]); os.close(pair[1])
""",
    "output floods": "while True: print('x' * 65_536)",
    "big answers": "print('x' * 1_000_000)",
    "sleepers": "import time; time.sleep(60)",
    "stopped processes": "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)",
}
"""By what they are called in a report."""
