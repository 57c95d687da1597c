# Below the frame of the program there is no other frame.
import inspect
import sys
import traceback

print(sys._getframe().f_back, len(inspect.stack()), len(traceback.extract_stack()))
traceback.print_stack()
try:
    sys._getframe(1)
except ValueError as error:
    print(error)
