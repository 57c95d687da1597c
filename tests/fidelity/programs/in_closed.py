# Reading a closed stdin is a ValueError.
import sys

sys.stdin.close()
try:
    sys.stdin.read()
except ValueError as error:
    print(error)
input()
