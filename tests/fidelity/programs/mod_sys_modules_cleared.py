# A program that empties sys.modules ends in peace.
import sys
sys.modules.clear()
print("fine")
