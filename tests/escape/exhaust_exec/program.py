import os

from attack import attempt

attempt("arguments", lambda: os.execve("/bin/true", ["true", *["x" * 100_000] * 100], {}))
