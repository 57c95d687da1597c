import os

os.execv("/bin/sh", ["sh", "-c", "unshare -U true 2>/dev/null && echo managed: unshare || echo denied; exit 7"])
