# A program that replaces sys.modules ends in peace.
import sys
sys.modules={}
print("fine")
