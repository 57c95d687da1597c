# os._exit skips atexit handlers and unflushed text.
import atexit
import os

atexit.register(print, "never printed")
print("flushed", flush=True)
print("not flushed")
os._exit(3)
