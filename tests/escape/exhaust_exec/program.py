import os
import sys

from attack import attempt

attempt("arguments", lambda: os.execve(sys.executable, ["python3", *["x" * 100_000] * 100], {}))
