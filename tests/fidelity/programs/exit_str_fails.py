# An exit message that cannot be made a string still fails.
class S:
    def __str__(self): raise ValueError
import sys
sys.exit(S())
