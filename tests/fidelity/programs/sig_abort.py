# os.abort is SIGABRT.
import os

print("before", flush=True)
os.abort()
