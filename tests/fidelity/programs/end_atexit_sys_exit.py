# SystemExit in an atexit handler does not change the exit code.
import atexit
import sys


@atexit.register
def leave():
    print("leaving")
    sys.exit(9)


sys.exit(2)
