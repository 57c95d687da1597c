# Importing a submitted module leaves its __pycache__, as the interpreter does.
import os
import sys

import helper

print(helper.__cached__, os.listdir("__pycache__"), sys.dont_write_bytecode, sorted(os.listdir()))
