# sys.unraisablehook sees errors in __del__.
import sys


class Odd:
    def __del__(self):
        raise ValueError("in del")


Odd()
sys.unraisablehook = lambda args: print("hook", args.exc_type.__name__, args.exc_value, args.object.__qualname__)
Odd()
