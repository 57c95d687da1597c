# Printing after sys.stdout.close() is a ValueError with a traceback.
import sys

print("before")
sys.stdout.close()
print("after")
