# sys.exit(-1) is exit code 255.
import sys

sys.exit(-1)
