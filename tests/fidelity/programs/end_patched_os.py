# What a program does to os and gc does not change its own end.
import os, gc, threading
os._exit=None; os.kill=None; gc.collect=None
print("x")
raise KeyboardInterrupt
