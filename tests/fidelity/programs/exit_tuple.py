# sys.exit with several values prints the tuple on stderr.
import sys

sys.exit(("a", 1, None))
