# sys.exit(None) is success.
import sys

print("leaving")
sys.exit(None)
