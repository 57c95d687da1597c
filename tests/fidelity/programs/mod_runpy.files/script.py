import sys

value = 1
print("script", __name__, sys.argv)
