# atexit handlers run after the traceback was printed.
import atexit
import sys

atexit.register(lambda: print("atexit", file=sys.stderr))
raise ValueError("first the traceback")
