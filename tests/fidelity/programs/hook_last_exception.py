# sys.last_value is there for atexit handlers, and the hooks are the interpreter's.
import atexit
import sys

print(sys.excepthook is sys.__excepthook__, sys.displayhook is sys.__displayhook__)
print(sys.unraisablehook is sys.__unraisablehook__, sys.breakpointhook is sys.__breakpointhook__)
print(hasattr(sys, "last_value"), sys.exc_info(), sys.gettrace(), sys.getprofile())
atexit.register(lambda: print("last", repr(sys.last_value), sys.last_traceback.tb_lineno))
raise ValueError("kept")
