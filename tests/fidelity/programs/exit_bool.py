# sys.exit(True) is exit code 1 and prints nothing.
import sys

sys.exit(True)
