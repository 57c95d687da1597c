# An unhandled KeyboardInterrupt prints its traceback and dies by SIGINT.
import atexit

atexit.register(print, "atexit ran")
raise KeyboardInterrupt
