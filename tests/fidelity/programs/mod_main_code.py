# The code object of the program carries the path and name of main.py.
import os
import sys

frame = sys._getframe()
print(frame.f_code.co_filename == __file__, frame.f_code.co_name, frame.f_code.co_qualname)
print(frame.f_code.co_firstlineno, frame.f_lineno, frame.f_code.co_flags)
print((lambda: 0).__code__.co_filename == os.path.join(os.getcwd(), "main.py"))
