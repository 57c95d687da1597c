# __file__ is the absolute path of main.py in the working directory.
import os
import sys

print(os.path.isabs(__file__), os.path.basename(__file__), os.path.dirname(__file__) == os.getcwd())
print(sys.path[0] == os.getcwd(), sys.argv[0], __loader__.path == __file__, __file__)
print(os.listdir(), os.path.realpath(".") == os.getcwd(), open("main.py").read() == open(__file__).read())
