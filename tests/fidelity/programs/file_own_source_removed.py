# A program that removed its own source gets a traceback without source lines.
import os

os.remove("main.py")
print(os.listdir())
raise ValueError("no source line")
