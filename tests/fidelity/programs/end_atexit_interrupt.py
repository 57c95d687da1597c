# KeyboardInterrupt in an exit function is reported and changes nothing.
import atexit
@atexit.register
def f(): raise KeyboardInterrupt
