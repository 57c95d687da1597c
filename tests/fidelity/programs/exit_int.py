# sys.exit(n) is exit code n.
import sys

print("leaving")
sys.exit(7)
