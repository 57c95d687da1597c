# Nowhere, not at exit either, is a frame below the program's.
import traceback, inspect, atexit, threading, sys, warnings, logging
class D:
    def __del__(self): print("del"); traceback.print_stack(); print(len(inspect.stack()))
keep=D()
def a(): traceback.print_stack(); print(len(inspect.stack())); warnings.warn("x", stacklevel=2)
atexit.register(a)
t=threading.Thread(target=a); t.start(); t.join()
def h(*args): print("hook", len(inspect.stack()), sys.exc_info(), sys.exception()); traceback.print_stack(); sys.__excepthook__(*args)
sys.excepthook=h
logging.warning("hi", stack_info=True)
print({k: v.f_code.co_name for k,v in sys._current_frames().items() if 0}, [f.f_code.co_name for f in sys._current_frames().values()])
1/0
