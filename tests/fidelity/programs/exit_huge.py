# An exit code that fits no C long is 255.
import sys

sys.exit(2**80)
